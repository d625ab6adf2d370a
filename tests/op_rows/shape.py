"""Rows of the functions that change shapes."""

import numpy as np
from op_rows import rows
from op_rows.rows import Row, mask, of

from tinygrad_opt import ops

SHAPES = [
    Row("reshape", lambda m, x: m.reshape(x, (3, -1)), of((2, 3)), lambda x: x.reshape(3, 2)),
    Row("flatten", lambda m, x: m.flatten(x, 1), of((2, 3, 2)), lambda x: x.reshape(2, 6)),
    Row("flatten: 0-d", lambda m, x: m.flatten(x), of(()), lambda x: x.reshape(1)),
    Row("squeeze", lambda m, x: m.squeeze(x), of((1, 3, 1)), np.squeeze),
    Row("squeeze: axis", lambda m, x: m.squeeze(x, -1), of((1, 3, 1)), lambda x: x[..., 0]),
    Row("squeeze: longer axis", lambda m, x: m.squeeze(x, (0, 1)), of((1, 3, 1)), lambda x: x[0]),
    Row("unsqueeze", lambda m, x: m.unsqueeze(x, 1), of((2, 3)), lambda x: x[:, None]),
    Row("unsqueeze: last", lambda m, x: m.unsqueeze(x, -1), of((2, 3)), lambda x: x[..., None]),
    Row("transpose", lambda m, x: m.transpose(x, 0, -1), of((2, 3, 4)),
        lambda x: x.swapaxes(0, -1)),
    Row("swapaxes", lambda m, x: x.mT, of((2, 3, 4)), lambda x: x.swapaxes(-1, -2)),
    Row("permute", lambda m, x: m.permute(x, (2, 0, -2)), of((2, 3, 4)),
        lambda x: x.transpose(2, 0, 1)),
    Row("t", lambda m, x: m.t(x), of((2, 3)), np.transpose),
    Row("expand", lambda m, x: x.expand(4, -1, 3), of((2, 1)),
        lambda x: np.broadcast_to(x, (4, 2, 3))),
    Row("broadcast_to", lambda m, x: ops.broadcast_to(x, shape=(2, 3)), of((2, 1)),
        lambda x: np.broadcast_to(x, (2, 3)), lambda m, x: m.broadcast_to(x, (2, 3))),
    Row("flip", lambda m, x: m.flip(x, (0, 1)), of((2, 3)), lambda x: x[::-1, ::-1]),
    Row("cat", lambda m, x, y: m.cat([x, y], 1), of((2, 3), (2, 1)),
        lambda x, y: np.concatenate([x, y], 1)),
    Row("cat: negative axis", lambda m, x, y, z: m.cat([x, y, z], -2), of((1, 2), (3, 2), (0, 2)),
        lambda *xs: np.concatenate(xs, 0)),
    Row("concatenate", lambda m, x, y: ops.concatenate([x, y], axis=0), of((2, 3), (1, 3)),
        lambda x, y: np.concatenate([x, y]), lambda m, x, y: m.cat([x, y])),
    Row("stack", lambda m, x, y: m.stack([x, y], 1), of((2, 3), (2, 3)),
        lambda x, y: np.stack([x, y], 1)),
    Row("stack: negative axis", lambda m, x, y: m.stack([x, y], -1), of((2, 3), (2, 3)),
        lambda x, y: np.stack([x, y], -1)),
    Row("split", lambda m, x: m.split(x, 2, 1)[1], of((2, 3)), lambda x: x[:, 2:]),
    Row("split: sizes", lambda m, x: m.split(x, [1, 2], -1)[1], of((2, 3)), lambda x: x[:, 1:]),
    Row("chunk", lambda m, x: m.chunk(x, 2, 1)[0], of((2, 3)), lambda x: x[:, :2]),
    Row("masked_fill", lambda m, x: m.masked_fill(x, mask(m), 7.0), of((2, 3)),
        lambda x: np.where(rows.MASK, 7.0, x)),
]  # fmt: skip
