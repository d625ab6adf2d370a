"""SyncBatchNorm over several processes: the mean and variance of the whole batch."""

from __future__ import annotations

from typing import Any

from ..arrays.xp import array_namespace
from ..autograd.function import Function, once_differentiable
from ..core.tensor import Tensor, wrap_plain
from .groups import ProcessGroup
from .state import is_initialized, the

__all__ = ["normalized"]


def normalized(layer: Any, input: Tensor) -> Tensor | None:
    """What `layer`, a SyncBatchNorm in training, returns; None where it has one process.

    Its running statistics take the mean and the unbiased variance over all processes' batches.
    """
    if layer.process_group is None and not is_initialized():
        return None
    group = the(layer.process_group)
    if group.size() == 1:
        return None
    n, mean, var = _moments(input.array, group)
    if n == 1:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{tuple(input.shape)} and none on the other processes"
        )
    if layer.track_running_stats:
        momentum = layer._next_momentum()
        for running, new in ((layer.running_mean, mean), (layer.running_var, var * (n / (n - 1)))):
            running.array[...] += momentum * (new - running.array)
    scale = 1.0 / array_namespace(var).sqrt(var + layer.eps)
    result: Tensor = _Normalize.apply(input, layer.weight, layer.bias, mean, scale, n, group)
    return result


def _moments(x: Any, group: ProcessGroup) -> tuple[int, Any, Any]:
    """How many values a channel has on all processes, their means and variances; in float64."""
    space, channels = array_namespace(x), x.shape[1]
    axes, own = _axes(x), x.size // max(channels, 1)
    row = space.zeros(1 + 2 * channels, "float64")
    if own:
        wide = x.astype("float64")
        row[0] = own
        row[1 : channels + 1] = wide.mean(axis=axes)
        row[channels + 1 :] = wide.var(axis=axes)
    rows = space.empty((group.size(), row.size), row.dtype)
    group.all_gather(row, rows, "statistics of a batch")
    counts, means, variances = rows[:, :1], rows[:, 1 : channels + 1], rows[:, channels + 1 :]
    n = int(counts.sum())
    mean = (counts * means).sum(axis=0) / n
    var = (counts * (variances + (means - mean) ** 2)).sum(axis=0) / n
    return n, mean, var


class _Normalize(Function):
    """(x - mean) * scale * weight + bias, of which mean and scale depend on all processes' x."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Any, bias: Any, mean: Any, scale: Any, n: int, group: Any
    ) -> Tensor:
        shape = (1, -1) + (1,) * (x.array.ndim - 2)
        standard = ((x.array - mean.reshape(shape)) * scale.reshape(shape)).astype(x.array.dtype)
        ctx.standard, ctx.scale, ctx.n, ctx.group = standard, scale, n, group
        ctx.save_for_backward(weight)
        ctx.has_bias = bias is not None
        y = standard
        if weight is not None:
            y = y * weight.array.reshape(shape)
        if bias is not None:
            y = y + bias.array.reshape(shape)
        return wrap_plain(y.astype(x.array.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Sums over all processes' batches come back, as the mean and the variance went in."""
        (weight,) = ctx.saved_tensors
        g, standard, axes = gradient.array, ctx.standard, _axes(gradient.array)
        shape = (1, -1) + (1,) * (g.ndim - 2)
        space, channels = array_namespace(g), g.shape[1]
        sums = space.empty(2 * channels, "float64")
        sums[:channels] = g.sum(axis=axes, dtype="float64")
        sums[channels:] = (g * standard).sum(axis=axes, dtype="float64")
        own = sums.astype(g.dtype)
        ctx.group.all_reduce(sums, "sum", "gradients of a batch's statistics")
        first, second = (s.reshape(shape) / ctx.n for s in (sums[:channels], sums[channels:]))
        scale = ctx.scale if weight is None else ctx.scale * weight.array
        gx = ((g - first - standard * second) * scale.reshape(shape)).astype(g.dtype)
        of_weight = None if weight is None else wrap_plain(own[channels:].astype(weight.dtype))
        of_bias = wrap_plain(own[:channels]) if ctx.has_bias else None
        return wrap_plain(gx), of_weight, of_bias, None, None, None, None


def _axes(x: Any) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))
