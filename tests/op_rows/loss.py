"""Rows of the losses."""

import numpy as np
from op_rows import rows
from op_rows.rows import Row, apart, functional, np_softmax, of, positive

from tinygrad_opt import ops


def np_huber(x, y):
    d = np.abs(x - y)
    return np.where(d < 0.8, d * d / 2, 0.8 * (d - 0.4))


def np_multi_margin(x, p):
    over = np.maximum(0.9 - x[[0, 1], rows.LABELS][:, None] + x, 0) ** p
    return (over.sum(1) - 0.9**p) / 3


def multi_margin(x, p):  # PyTorch's own has no second derivative
    over = (0.9 - x[[0, 1], rows.LABELS][:, None] + x).clamp(min=0) ** p
    return (over.sum(1) - 0.9**p) / 3


SIGNS = np.array([[1.0, -1.0, 2.0], [-0.5, 0.0, 3.0]])

LOSSES = [
    Row("relu_back", lambda m, g: ops.relu_back(g, m.tensor(SIGNS.clip(0), dtype=g.dtype)),
        of((2, 3)),
        lambda g: g * (SIGNS > 0), lambda m, g: g * m.tensor(SIGNS > 0)),
    Row("stepwise", lambda m, g: ops.stepwise(g, m.tensor(SIGNS, dtype=g.dtype)), of((2, 3)),
        lambda g: g, lambda m, g: g * 1),
    Row("cross_entropy", lambda m, x: ops.cross_entropy(x, index=rows.LABELS, scale=0.5),
        of((2, 3)),
        lambda x: -np.log(np_softmax(x, 1))[[0, 1], rows.LABELS].mean(),
        lambda m, x: m.nn.functional.cross_entropy(x, m.tensor(rows.LABELS))),
    Row("cross_entropy: rows, many classes",
        lambda m, x: ops.cross_entropy(x, index=rows.LABELS * 99),
        of((2, 200)), lambda x: -np.log(np_softmax(x, 1))[[0, 1], rows.LABELS * 99],
        lambda m, x: m.nn.functional.cross_entropy(
            x, m.tensor(rows.LABELS * 99), reduction="none")),
    Row("cross_entropy: beyond the fused kernel",
        lambda m, x: ops.cross_entropy(x, index=rows.LABELS),
        of((2, 2100)), lambda x: -np.log(np_softmax(x, 1))[[0, 1], rows.LABELS],
        lambda m, x: m.nn.functional.cross_entropy(
            x, m.tensor(rows.LABELS), reduction="none")),
    Row("cross_entropy_rows", lambda m, x: ops.cross_entropy_rows(x, rows.LABELS)[1], of((2, 3)),
        lambda x: np_softmax(x, 1) - np.eye(3)[rows.LABELS],
        lambda m, x: m.softmax(x, 1) - m.tensor(np.eye(3)[rows.LABELS], dtype=x.dtype)),
    Row("mean_cross_entropy",
        lambda m, x: ops.mean_cross_entropy(x, index=rows.LABELS, ignore=-100), of((2, 3)),
        lambda x: -np.log(np_softmax(x, 1))[[0, 1], rows.LABELS].mean(),
        lambda m, x: m.nn.functional.cross_entropy(x, m.tensor(rows.LABELS))),
    Row("mean_cross_entropy: without one row",
        lambda m, x: ops.mean_cross_entropy(x, index=rows.LABELS, ignore=int(rows.LABELS[0])),
        of((2, 3)), lambda x: -np.log(np_softmax(x, 1))[1, rows.LABELS[1]],
        lambda m, x: m.nn.functional.cross_entropy(
            x, m.tensor(rows.LABELS), ignore_index=int(rows.LABELS[0]))),
    Row("mean_cross_entropy_rows",
        lambda m, x: ops.mean_cross_entropy_rows(x, rows.LABELS, -100)[1], of((2, 3)),
        lambda x: np_softmax(x, 1) - np.eye(3)[rows.LABELS],
        lambda m, x: m.softmax(x, 1) - m.tensor(np.eye(3)[rows.LABELS], dtype=x.dtype)),
    Row("multi_margin", lambda m, x: ops.multi_margin(x, index=rows.LABELS, margin=0.9, p=2),
        of((2, 3)), lambda x: np_multi_margin(x, 2), lambda m, x: multi_margin(x, 2)),
    Row("mean_multi_margin",
        lambda m, x: ops.mean_multi_margin(x, index=rows.LABELS, margin=0.9, p=1),
        of((2, 3)), lambda x: np_multi_margin(x, 1).mean(),
        lambda m, x: multi_margin(x, 1).mean()),
    Row("negative_log_likelihood",
        lambda m, x: ops.negative_log_likelihood(x, index=rows.LABELS, mean=True), of((2, 3)),
        lambda x: -x[[0, 1], rows.LABELS].mean(),
        lambda m, x: m.nn.functional.nll_loss(x, m.tensor(rows.LABELS))),
    Row("negative_log_likelihood: along the second axis",
        lambda m, x: ops.negative_log_likelihood(x, index=rows.LABELS[:, None]), of((2, 3, 1)),
        lambda x: -x[[0, 1], rows.LABELS],
        lambda m, x: m.nn.functional.nll_loss(
            x, m.tensor(rows.LABELS[:, None]), reduction="none")),
    Row("cross_entropy: along the second axis",
        lambda m, x: ops.cross_entropy(x, index=np.stack([rows.LABELS, rows.LABELS[::-1]], 1)),
        of((2, 3, 2)),
        lambda x: -np.log(np_softmax(x, 1))[
            [[0, 0], [1, 1]], np.stack([rows.LABELS, rows.LABELS[::-1]], 1), [[0, 1], [0, 1]]],
        lambda m, x: m.nn.functional.cross_entropy(
            x, m.tensor(np.stack([rows.LABELS, rows.LABELS[::-1]], 1)), reduction="none")),
    Row("smoothed_cross_entropy",
        lambda m, x: ops.smoothed_cross_entropy(x, index=rows.LABELS, share=0.2, scale=0.5),
        of((2, 3)),
        lambda x: -(np.log(np_softmax(x, 1))
                    * (0.8 * np.eye(3)[rows.LABELS] + 0.2 / 3)).sum() / 2,
        lambda m, x: m.nn.functional.cross_entropy(
            x, m.tensor(rows.LABELS), label_smoothing=0.2)),
    Row("softmax_cross_entropy",
        lambda m, x: ops.softmax_cross_entropy(x, rows.TARGET.astype(x.dtype), scale=0.5),
        of((2, 3)),
        lambda x: -(rows.TARGET * np.log(np_softmax(x, 1))).sum() / 2,
        lambda m, x: m.nn.functional.cross_entropy(x, m.tensor(rows.TARGET, dtype=x.dtype))),
    Row("softmax_cross_entropy: rows, soft targets",
        lambda m, x, t: ops.softmax_cross_entropy(x, t),
        of((2, 3), (2, 3), values=positive), lambda x, t: -(t * np.log(np_softmax(x, 1))).sum(1),
        functional("cross_entropy", reduction="none")),
    Row("mean_squared_error", lambda m, x, y: ops.mean_squared_error(x, y), of((2, 3), (2, 3)),
        lambda x, y: ((x - y) ** 2).mean(), functional("mse_loss")),
    Row("absolute_error", lambda m, x, y: ops.absolute_error(x, y),
        lambda rng: tuple(apart(rng, (2, 2, 3))), lambda x, y: abs(x - y),
        functional("l1_loss", reduction="none")),
    Row("huber", lambda m, x, y: ops.huber(x, y, delta=0.8), of((2, 3), (2, 3)), np_huber,
        functional("huber_loss", delta=0.8, reduction="none")),
    Row("mean_huber", lambda m, x, y: ops.mean_huber(x, y, delta=0.8), of((2, 3), (3,)),
        lambda x, y: np_huber(x, y).mean(),
        lambda m, x, y: m.nn.functional.huber_loss(x, y.expand(2, 3), delta=0.8)),
    Row("huber: smooth l1", lambda m, x, y: ops.huber(x, y, delta=0.8, scale=0.8),
        of((2, 3), (2, 3)), lambda x, y: np_huber(x, y) / 0.8,
        functional("smooth_l1_loss", beta=0.8, reduction="none")),
]  # fmt: skip
