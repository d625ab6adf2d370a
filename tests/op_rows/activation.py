"""Rows of the rarer activations: elementwise, so that all shapes and layouts are tried."""

import numpy as np
from op_rows.rows import binary, functional, np_sigmoid, off_bounds, off_zero, unary

from tinygrad_opt import ops

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def np_elu(x, alpha=1.0, scale=1.0, rate=1.0):
    return scale * np.where(x > 0, x, alpha * np.expm1(rate * np.minimum(x, 0)))


def off_three(rng, shape=(2, 3)):
    """Values at least 0.1 away from -3 and 3."""
    return 6 * off_bounds(rng, shape)


def row(name, ref, values=off_zero, call=None, peer=None, **settings):
    """A unary row that calls the function of `nn.functional`, in both libraries."""
    return unary(name, ref, values, functional(call or name.partition(":")[0], **settings), peer)


ACTIVATIONS = [
    row("elu", np_elu),
    row("elu: alpha", lambda x: np_elu(x, 1.5), alpha=1.5),
    row("elu: celu", lambda x: np_elu(x, 1.5, 1, 1 / 1.5), call="celu", alpha=1.5),
    row("elu: selu", lambda x: np_elu(x, SELU_ALPHA, SELU_SCALE), call="selu"),
    binary("prelu", lambda x, w: np.where(x > 0, x, w * x), left=off_zero,
           call=lambda m, x, w: ops.prelu(x, w), peer=lambda m, x, w: m.where(x > 0, x, w * x)),
    row("hardtanh", lambda x: np.clip(x, -0.5, 0.5), off_bounds, min_val=-0.5, max_val=0.5),
    row("hardtanh: relu6", lambda x: np.clip(x, 0, 6), call="relu6"),
    # PyTorch's own hardsigmoid has no second derivative.
    binary("gated", lambda x, y: x * np_sigmoid(y), call=lambda m, x, y: ops.gated(x, y),
           peer=lambda m, x, y: x * m.sigmoid(y)),
    row("hardsigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), off_three,
        peer=lambda m, x: m.nn.functional.relu6(x + 3) / 6),
    row("hardswish", lambda x: x * np.clip(x / 6 + 0.5, 0, 1), off_three),
    row("hardshrink", lambda x: np.where(abs(x) > 0.5, x, 0), off_bounds),
    row("hardshrink: lambd", lambda x: np.where(abs(x) > 0.1, x, 0), lambd=0.1),
    row("softshrink", lambda x: np.sign(x) * np.maximum(abs(x) - 0.5, 0), off_bounds),
    row("softshrink: lambd", lambda x: np.sign(x) * (abs(x) - 0.1), lambd=0.1),
    row("threshold", lambda x: np.where(x > 0.5, x, 7.0), off_bounds, threshold=0.5, value=7.0),
    row("softsign", lambda x: x / (1 + abs(x))),
    row("log_sigmoid", lambda x: np.log(np_sigmoid(x)), call="logsigmoid"),
    row("mish", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    row("tanh: shrink", lambda x: x - np.tanh(x), call="tanhshrink"),
]  # fmt: skip
