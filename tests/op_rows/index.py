"""Rows of indexing."""

import numpy as np
from op_rows import rows
from op_rows.rows import Row, apart, mask, of

from tinygrad_opt import ops


def np_scatter_add(g):
    y = np.zeros((3, 2))
    np.add.at(y, [2, 0, 2], g)
    return y


def np_scattered(y):
    sums = np.zeros((2, 3))
    for (i, j), k in np.ndenumerate(rows.INDEX):
        sums[i, k] += y[i, j]
    return sums


def np_scatter_reduce(x, y, reduce, alone):
    """`reduce` over the list of what arrives at each place."""
    lists = [[[x[i, j]] for j in range(3)] for i in range(2)]
    for (i, j), k in np.ndenumerate(rows.INDEX):
        lists[i][k].append(y[i, j])
    return np.array([
        [reduce(here[1:] if alone and len(here) > 1 else here) for here in row] for row in lists
    ])  # fmt: skip


def np_masked_scatter(x, y):
    z = x.copy()
    z[rows.MASK] = y.ravel()[: rows.MASK.sum()]
    return z


INDEXING = [
    Row("getitem", lambda m, x: x[1:, 0], of((3, 2)), lambda x: x[1:, 0]),
    Row("getitem: repeated rows", lambda m, x: x[[0, 2, 2]], of((3, 2)), lambda x: x[[0, 2, 2]]),
    Row("getitem: mask", lambda m, x: x[mask(m)], of((2, 3)), lambda x: x[rows.MASK]),
    Row("scatter_add", lambda m, g: ops.scatter_add(g, shape=(3, 2), index=np.array([2, 0, 2])),
        of((3, 2)), np_scatter_add,
        lambda m, g: m.zeros(3, 2, dtype=g.dtype).index_add(0, m.tensor([2, 0, 2]), g)),
    Row("framed", lambda m, x: ops.framed(
            x, shape=(3, 6), index=(slice(None), slice(1, 4)), value=0.5),
        of((3, 3)), lambda x: np.pad(x, ((0, 0), (1, 2)), constant_values=0.5),
        lambda m, x: m.nn.functional.pad(x, (1, 2), value=0.5)),
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
    Row("getitem: number beside a list", lambda m, x: x[0, :, m.tensor([2, 0])], of((2, 3, 4)),
        lambda x: x[0][:, [2, 0]]),
    Row("getitem: mask and list", lambda m, x: x[m.tensor([True, False]), :, [1]], of((2, 3, 4)),
        lambda x: x[:1, :, 1]),
    Row("getitem: new axes", lambda m, x: x[None, ..., 1, None], of((2, 3)),
        lambda x: x[None, ..., 1, None]),
    Row("put", lambda m, x, v: ops.put(x, v, index=(slice(None), np.array([2, 0]))),
        of((2, 3), (2, 1)), lambda x, v: np.stack([v[:, 0], x[:, 1], v[:, 0]], 1),
        lambda m, x, v: x.index_put((m.tensor([[0], [1]]), m.tensor([2, 0])), v)),
    Row("index_add", lambda m, x, y: m.index_add(x, 1, m.tensor([2, 0, 2]), y, alpha=0.5),
        of((2, 3), (2, 3)), lambda x, y: x + 0.5 * np.stack(
            [y[:, 1], 0 * y[:, 0], y[:, 0] + y[:, 2]], 1)),
    Row("index_copy", lambda m, x, y: m.index_copy(x, 0, m.tensor([2, 0]), y), of((3, 2), (2, 2)),
        lambda x, y: np.stack([y[1], x[1], y[0]])),
    Row("index_fill", lambda m, x: m.index_fill(x, 1, m.tensor([0, 2]), 7.0), of((2, 3)),
        lambda x: np.stack([0 * x[:, 0] + 7, x[:, 1], 0 * x[:, 0] + 7], 1)),
    Row("index_put", lambda m, x, v: m.index_put(x, (m.tensor([0, 1]), m.tensor([2, 0])), v),
        of((2, 3), (2,)), lambda x, v: np.array([[*x[0, :2], v[0]], [v[1], *x[1, 1:]]])),
    Row("index_put: accumulated", lambda m, x, v: m.index_put(
        x, (m.tensor([0, 0]), m.tensor([2, 2])), v, accumulate=True),
        of((2, 3), (2,)), lambda x, v: np.array([[*x[0, :2], x[0, 2] + v.sum()], x[1]])),
    Row("select_scatter", lambda m, x, y: m.select_scatter(x, y, 1, 0), of((2, 3), (2,)),
        lambda x, y: np.concatenate([y[:, None], x[:, 1:]], 1)),
    Row("slice_scatter", lambda m, x, y: m.slice_scatter(x, y, 1, 0, 3, 2), of((2, 3), (2, 2)),
        lambda x, y: np.stack([y[:, 0], x[:, 1], y[:, 1]], 1)),
    Row("scatter", lambda m, x, y: m.scatter(x, 1, m.tensor([[2, 0]]), y), of((2, 3), (1, 2)),
        lambda x, y: np.array([[y[0, 1], x[0, 1], y[0, 0]], x[1]])),
    Row("scatter: a number", lambda m, x: m.scatter(x, 0, m.tensor([[1, 0]]), 7.0), of((2, 3)),
        lambda x: np.array([[x[0, 0], 7, x[0, 2]], [7, *x[1, 1:]]])),
    Row("put_sum", lambda m, x, y: m.scatter_add(x, 1, m.tensor(rows.INDEX), y),
        of((2, 3), (2, 3)), lambda x, y: x + np_scattered(y)),
    *[Row(f"scatter_reduce: {how}{', alone' if alone else ''}",
          lambda m, x, y, how=how, alone=alone: m.scatter_reduce(
              x, 1, m.tensor(rows.INDEX), y, how, include_self=not alone),
          of((2, 3), (2, 3), values=apart),
          lambda x, y, reduce=reduce, alone=alone: np_scatter_reduce(x, y, reduce, alone))
      for how, reduce in [("sum", np.sum), ("mean", np.mean), ("prod", np.prod), ("amax", np.max),
                          ("amin", np.min)]
      for alone in (False, True)],
    Row("take", lambda m, x: m.take(x, m.tensor([[0, -1], [4, 0]])), of((2, 3)),
        lambda x: x.ravel()[[[0, 5], [4, 0]]]),
    Row("take_along_dim", lambda m, x: m.take_along_dim(x, m.tensor(rows.INDEX), 1), of((2, 3)),
        lambda x: np.take_along_axis(x, rows.INDEX, 1)),
    Row("take_along_dim: broadcast", lambda m, x: m.take_along_dim(x, m.tensor([[1], [0]]), 0),
        of((2, 3)), lambda x: x[::-1]),
    Row("take_along_dim: flat", lambda m, x: m.take_along_dim(x, m.tensor([4, 1])), of((2, 3)),
        lambda x: x.ravel()[[4, 1]]),
    Row("masked_select", lambda m, x: m.masked_select(x, m.tensor([True, False, True])),
        of((2, 3)), lambda x: x[:, [0, 2]].ravel()),
    Row("masked_scatter", lambda m, x, y: m.masked_scatter(x, mask(m), y), of((2, 3), (2, 3)),
        np_masked_scatter),
]  # fmt: skip
