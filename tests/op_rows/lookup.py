"""Rows of looking up rows of a table."""

import numpy as np
from op_rows.rows import Row, of

from tinygrad_opt import ops

INDEX = np.array([[1, 3, 1], [0, 1, 1]])


def embedding(**kwargs):
    def call(m, weight):
        return m.nn.functional.embedding(m.tensor(INDEX), weight, **kwargs)

    return call


def bag(**kwargs):
    def call(m, weight):
        return m.nn.functional.embedding_bag(m.tensor(INDEX), weight, **kwargs)

    return call


LOOKUP = [
    Row("lookup", lambda m, w: ops.lookup(w, index=m.tensor(INDEX).array), of((4, 2)),
        lambda w: w[INDEX], embedding()),
    Row("rows", lambda m, w: ops.rows(w, m.tensor(INDEX).array), of((4, 2)),
        lambda w: w[INDEX], embedding()),
    Row("lookup: function", embedding(), of((4, 2)), lambda w: w[INDEX]),
    Row("lookup: sums", bag(mode="sum"), of((4, 2)), lambda w: w[INDEX].sum(axis=1)),
    Row("lookup: means", bag(), of((4, 2)), lambda w: w[INDEX].mean(axis=1)),
    Row("lookup: maxima", bag(mode="max"), of((4, 2)), lambda w: w[INDEX].max(axis=1)),
]  # fmt: skip
