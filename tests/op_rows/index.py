"""Rows of indexing."""

import numpy as np
from op_rows import rows
from op_rows.rows import Row, mask, of

from tinygrad_opt import ops


def np_scatter_add(g):
    y = np.zeros((3, 2))
    np.add.at(y, [2, 0, 2], g)
    return y


INDEXING = [
    Row("getitem", lambda m, x: x[1:, 0], of((3, 2)), lambda x: x[1:, 0]),
    Row("getitem: repeated rows", lambda m, x: x[[0, 2, 2]], of((3, 2)), lambda x: x[[0, 2, 2]]),
    Row("getitem: mask", lambda m, x: x[mask(m)], of((2, 3)), lambda x: x[rows.MASK]),
    Row("scatter_add", lambda m, g: ops.scatter_add(g, shape=(3, 2), index=np.array([2, 0, 2])),
        of((3, 2)), np_scatter_add,
        lambda m, g: m.zeros(3, 2, dtype=g.dtype).index_add(0, m.tensor([2, 0, 2]), g)),
    Row("take_along_axis",
        lambda m, x: ops.take_along_axis(x, indices=rows.INDEX, axis=1), of((2, 3)),
        lambda x: np.take_along_axis(x, rows.INDEX, 1),
        lambda m, x: m.gather(x, 1, m.tensor(rows.INDEX))),
    Row("gather", lambda m, x: m.gather(x, -1, m.tensor(rows.INDEX)), of((2, 3)),
        lambda x: np.take_along_axis(x, rows.INDEX, 1)),
    Row("gather: smaller index", lambda m, x: m.gather(x, 0, m.tensor([[1, 0]])), of((2, 3)),
        lambda x: np.array([[x[1, 0], x[0, 1]]])),
    Row("index_select", lambda m, x: m.index_select(x, 1, m.tensor([2, 0, 2])), of((2, 3)),
        lambda x: x[:, [2, 0, 2]]),
]  # fmt: skip
