"""The layers as functions: what modules call, and what is handy without one."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import functions, ops, random
from .._tensor import Tensor
from ..autograd.graph import op, wrap_plain
from ..backend import device_of, to_device, xp
from ..ops import sigmoid, tanh
from .classification import cross_entropy, nll_loss
from .reduction import check_devices
from .regression import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)  # fmt: skip

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "dropout", "elu",
    "embedding", "gelu", "huber_loss", "l1_loss", "layer_norm", "leaky_relu", "linear",
    "log_softmax", "mse_loss", "nll_loss", "normalize", "one_hot", "relu", "sigmoid", "silu",
    "smooth_l1_loss", "softmax", "softplus", "tanh",
]  # fmt: skip


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input` @ weight.T + bias; input (..., in), weight (out, in), bias (out,)."""
    return ops.linear(input, weight, bias)


# Activations --------------------------------------------------------------------------------------


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0), with slope 0 at 0. `inplace` changes nothing here."""
    return ops.relu(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """`input` * sigmoid(input). `inplace` changes nothing here."""
    return ops.silu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """`input` where positive, else negative_slope * input. `inplace` changes nothing here."""
    return ops.leaky_relu(input, negative_slope=negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` where positive, else alpha * (exp(input) - 1). `inplace` changes nothing here."""
    below = ops.expm1(ops.clip(input, max=0.0))  # clipped, so that exp cannot overflow
    return ops.where(input > 0, input, alpha * below)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """`input` times its normal distribution function. Hendrycks & Gimpel 2016, arXiv:1606.08415.

    `approximate`: "none" for the exact function, "tanh" for the paper's approximation.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(
            f"approximate argument must be either none or tanh., got {approximate!r}"
        )
    return ops.gelu(input) if approximate == "none" else ops.gelu_tanh(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input > threshold."""
    return ops.softplus(input, beta=beta, threshold=threshold)


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """exp(input) / sum of exp(input) along `dim`."""
    return functions.softmax(input, _chosen(input, dim, "softmax", _stacklevel), dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """log(softmax(input)) along `dim`, computed without overflow."""
    return functions.log_softmax(input, _chosen(input, dim, "log_softmax", _stacklevel), dtype)


def _chosen(input: Tensor, dim: int | None, name: str, stacklevel: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        stacklevel=stacklevel,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


# Dropout, embedding, normalisation ----------------------------------------------------------------


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False,
    *, generator: random.Generator | None = None,
) -> Tensor:  # fmt: skip
    """Zeroes each element with probability `p` and divides the others by 1 - p.

    Without `training` the input itself. Draws from `generator` or the default one; `inplace`
    changes nothing here. Raises ValueError unless 0 <= p <= 1. Srivastava et al. 2014.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    dtype = input.array.dtype
    kept = random.draw_uniform(input.array.shape, dtype, generator) >= p
    # A constant for autograd: a derivative of the derivative sees the same mask.
    mask = np.multiply(kept, 1 / (1 - p) if p < 1 else 0, dtype=dtype)
    return ops.mul(input, to_device(mask, device_of(input.array)))


@op
def _rows(weight, *, index, padding_idx=None):
    def scatter(g):
        if padding_idx is not None:
            g = g * xp(index).expand_dims(index != padding_idx, -1)
        return xp(g).scatter_add(g, shape=weight.shape, index=index)

    return weight[index], scatter


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The rows of `weight` (rows, features) that the integers `input` (...) name: (..., features).

    The row `padding_idx` receives no gradient. Raises RuntimeError for indices that are not
    integers and IndexError for those outside [0, rows).
    """
    index = input.array
    check_devices("embedding", weight.array, index)
    if index.dtype.kind not in "iu":
        raise RuntimeError(
            "embedding: Expected tensor for argument 'indices' to have one of the following scalar "
            f"types: Long, Int; but got {index.dtype}; convert with .long()"
        )
    rows = weight.array.shape[0]
    if index.size and (index.min() < 0 or index.max() >= rows):
        bad = index[(index < 0) | (index >= rows)].ravel()[0]
        raise IndexError(f"embedding: index out of range in self: {bad} with {rows} rows")
    if padding_idx is not None:
        padding_idx = _padding_row(padding_idx, rows)
    return _rows(weight, index=index, padding_idx=padding_idx)


def _padding_row(padding_idx: int, rows: int) -> int:
    if not -rows <= padding_idx < rows:
        raise ValueError(f"Padding_idx must be within num_embeddings ({rows}), got {padding_idx}")
    return padding_idx % rows


@op
def _standardize(x, *, axes, eps):
    # y = (x - mean) / s;  dx = (g - mean(g) - y mean(g y)) / s.  Ba et al. 2016, arXiv:1607.06450
    centred = x - xp(x).mean(x, axis=axes, keepdims=True)
    s = xp(x).sqrt(xp(x).mean(centred * centred, axis=axes, keepdims=True) + eps)
    y = centred / s

    def back(g):
        mean = xp(g).mean(g, axis=axes, keepdims=True)
        return (g - mean - y * xp(g).mean(g * y, axis=axes, keepdims=True)) / s

    return y, back


def layer_norm(
    input: Tensor, normalized_shape: Any, weight: Tensor | None = None,
    bias: Tensor | None = None, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(input - mean) / sqrt(variance + eps) over the last axes, then * weight + bias.

    `normalized_shape`: the lengths of those axes. Raises RuntimeError if the input ends otherwise.
    """
    shape = tuple(normalized_shape)
    if tuple(input.array.shape[-len(shape) :]) != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, "
            f"{', '.join(map(str, shape))}], but got input of size{list(input.array.shape)}"
        )
    y = _standardize(input, axes=tuple(range(-len(shape), 0)), eps=eps)
    y = y if weight is None else ops.mul(y, weight)
    return y if bias is None else ops.add(y, bias)


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """`input` divided by its p-norm along `dim`, but by no less than eps."""
    return input / functions.norm(input, p, dim, keepdim=True).clip(min=eps)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 of one more axis, `num_classes` long: 1 at the class, 0 elsewhere.

    `num_classes` -1: one more than the largest class. Raises RuntimeError for classes outside.
    """
    index = tensor.array
    if index.dtype.kind not in "iu":
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type Long, got {index.dtype}"
        )
    if index.size == 0 and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if index.size and int(index.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    largest = int(index.max()) if index.size else -1
    classes = largest + 1 if num_classes == -1 else num_classes
    if largest >= classes:
        raise RuntimeError(
            f"Class values must be smaller than num_classes, got {largest} of {classes}"
        )
    grid = xp(index).arange(classes)
    return wrap_plain((index[..., None] == grid).astype(np.int64))
