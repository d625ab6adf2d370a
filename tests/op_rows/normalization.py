"""Rows of the normalising operations, and of the layers that call them."""

import numpy as np
from op_rows.rows import Row, functional, of

from tinygrad_opt import ops


def np_standardized(x, axes, eps=1e-5):
    mean = x.mean(axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)


def np_rms(x, axes, eps):
    return x / np.sqrt((x * x).mean(axes, keepdims=True) + eps)


def grouped(x, w, b):
    z = np_standardized(x.reshape(2, 2, 2, 3), (2, 3)).reshape(2, 4, 3)
    return z * w[:, None] + b[:, None]


NORMALIZATION = [
    Row("affine", lambda m, x, w, b: ops.affine(x, w, b), of((2, 3, 4), (3,), (3,)),
        lambda x, w, b: x * w[:, None] + b[:, None],
        lambda m, x, w, b: x * w[:, None] + b[:, None]),
    Row("standardize", lambda m, x: ops.standardize(x, None, None, axes=(0, 2), eps=0.1),
        of((4, 3, 2)), lambda x: np_standardized(x, (0, 2), 0.1),
        lambda m, x: m.nn.functional.batch_norm(x, None, None, training=True, eps=0.1)),
    Row("standardize: batch_norm",
        lambda m, x, w, b: m.nn.functional.batch_norm(x, None, None, w, b, training=True),
        of((4, 3, 2), (3,), (3,)),
        lambda x, w, b: np_standardized(x, (0, 2)) * w[:, None] + b[:, None]),
    Row("standardize: of vectors",
        lambda m, x, w: m.nn.functional.batch_norm(x, None, None, w, None, training=True),
        of((4, 3), (3,)), lambda x, w: np_standardized(x, 0) * w),
    Row("standardize: instance_norm",
        lambda m, x, w, b: m.nn.functional.instance_norm(x, weight=w, bias=b),
        of((2, 3, 4), (3,), (3,)),
        lambda x, w, b: np_standardized(x, 2) * w[:, None] + b[:, None]),
    Row("standardize: group_norm", lambda m, x, w, b: m.nn.functional.group_norm(x, 2, w, b),
        of((2, 4, 3), (4,), (4,)), grouped),
    Row("standardize: layer_norm",
        lambda m, x, w, b: m.nn.functional.layer_norm(x, (3, 2), w, b, eps=0.1),
        of((4, 3, 2), (3, 2), (3, 2)),
        lambda x, w, b: np_standardized(x, (1, 2), 0.1) * w + b),
    Row("rms_normalize", lambda m, x: ops.rms_normalize(x, axes=(-1,), eps=0.1), of((4, 3)),
        lambda x: np_rms(x, -1, 0.1), functional("rms_norm", normalized_shape=(3,), eps=0.1)),
    Row("rms_normalize: weight", lambda m, x, w: m.nn.functional.rms_norm(x, (3, 2), w, 0.1),
        of((4, 3, 2), (3, 2)), lambda x, w: np_rms(x, (1, 2), 0.1) * w),
]  # fmt: skip
