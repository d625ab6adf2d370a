"""Rows of products of matrices and vectors."""

import numpy as np
from op_rows.rows import Row, functional, of

from tinygrad_opt import ops

PRODUCTS = [
    Row("matmul", lambda m, x, y: m.matmul(x, y), of((2, 3), (3, 4)), np.matmul),
    Row("matmul: batches", lambda m, x, y: x @ y, of((5, 2, 3), (5, 3, 4)), np.matmul),
    Row("matmul: broadcast batches", lambda m, x, y: x @ y, of((5, 1, 2, 3), (2, 3, 4)), np.matmul),
    Row("matmul: matrix, vector", lambda m, x, y: x @ y, of((2, 3), (3,)), np.matmul),
    Row("matmul: vector, batch", lambda m, x, y: x @ y, of((3,), (5, 3, 4)), np.matmul),
    Row("matmul: vectors", lambda m, x, y: x @ y, of((3,), (3,)), np.matmul),
    Row("dot", lambda m, x, y: m.dot(x, y), of((3,), (3,)), np.dot),
    Row("outer", lambda m, x, y: m.outer(x, y), of((2,), (3,)), np.outer),
    Row("linear", lambda m, x, w, b: ops.linear(x, w, b), of((5, 3), (2, 3), (2,)),
        lambda x, w, b: x @ w.T + b, functional("linear")),
    Row("linear: no bias, more axes", lambda m, x, w: ops.linear(x, w, None), of((4, 5, 3), (2, 3)),
        lambda x, w: x @ w.T, functional("linear")),
    Row("linear: one row", lambda m, x, w, b: ops.linear(x, w, b), of((3,), (2, 3), (2,)),
        lambda x, w, b: x @ w.T + b, functional("linear")),
]  # fmt: skip
