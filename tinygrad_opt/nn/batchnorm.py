"""BatchNorm and InstanceNorm: normalisation of channels, with running statistics."""

from __future__ import annotations

import math
import warnings
from typing import Any

from .. import ops
from ..arrays.quiet import quiet
from ..arrays.xp import xp
from ..core.half import HALF
from ..core.public import publish
from ..core.tensor import Tensor
from ..tensors.creation import ones, tensor, zeros
from .normalization import (
    _Affine,
    _check_channels,
    _check_enough,
    _in_type_of_input,
    _register_affine,
    _standardized,
)

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d", "batch_norm", "instance_norm",
]  # fmt: skip


class _ChannelNorm(_Affine):
    """What the two families share: parameters, running statistics, and their saved form."""

    _version = 2  # version 1 had no num_batches_tracked
    _axes: tuple[int, ...]  # how many axes an input may have

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool,
        track_running_stats: bool, device: Any, dtype: Any, bias: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        _register_affine(self, (num_features,), affine, affine and bias, device, dtype)
        tracked = track_running_stats
        where = {"device": device, "dtype": dtype}
        self.register_buffer("running_mean", zeros(num_features, **where) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **where) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, device=device) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forgets all batches: mean 0, variance 1, count 0."""
        for buffer, value in (
            (self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)
        ):  # fmt: skip
            if buffer is not None:
                buffer.array[...] = value

    def reset_parameters(self) -> None:
        """Sets weight to ones, bias to zeros, and the running statistics to their start."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self._axes:
            expected = " or ".join(f"{n}D" for n in self._axes)
            raise ValueError(
                f"{type(self).__name__}: expected {expected} input (got {input.ndim}D input)"
            )

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool, missing_keys: Any,
        unexpected_keys: Any, error_msgs: Any,
    ) -> None:  # fmt: skip
        count = prefix + "num_batches_tracked"
        version = local_metadata.get("version")
        if self.track_running_stats and (version is None or version < 2):
            held = self.num_batches_tracked
            state_dict.setdefault(count, tensor(0) if held is None else held.clone())
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_ChannelNorm):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, device: Any = None,
        dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        mean, var = self.running_mean, self.running_var
        by_batch = self.training or (mean is None and var is None)
        if not self.training or not self.track_running_stats:
            kept = (None, None) if by_batch else (mean, var)
            return batch_norm(
                input, *kept, self.weight, self.bias, by_batch, self.momentum or 0.0, self.eps
            )
        return batch_norm(
            input, mean, var, self.weight, self.bias, True, self._next_momentum(), self.eps
        )

    def _next_momentum(self) -> float:
        """Counts a batch; its share in the running statistics, 1 / count where momentum is None."""
        if self.num_batches_tracked is None:
            return self.momentum or 0.0
        self.num_batches_tracked.array += 1
        if self.momentum is not None:
            return self.momentum
        return 1.0 / float(self.num_batches_tracked.array)


class BatchNorm1d(_BatchNorm):
    """Normalises each channel over the batch, (N, C) or (N, C, L); then * weight + bias.

    num_features         C
    eps                  added to the variance
    momentum             the share of each batch in the running statistics; None: their average
    affine               whether weight and bias, (C,) each, are there
    track_running_stats  keep running_mean and running_var, which evaluation normalises by;
                         without them it takes each batch's own
    bias                 whether bias is there

    The running variance is the unbiased one. Raises ValueError for other numbers of axes, and for
    a single value per channel in training. Ioffe & Szegedy 2015, arXiv:1502.03167.

    >>> layer = BatchNorm1d(2)
    >>> layer(Tensor([[0.0, 1.0], [2.0, 3.0]])).detach().round()
    tensor([[-1., -1.],
            [ 1.,  1.]])
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images: (N, C, H, W)."""

    _axes = (4,)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes: (N, C, D, H, W)."""

    _axes = (5,)


class _InstanceNorm(_ChannelNorm):
    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Any = None, dtype: Any = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        axis = input.ndim - self._axes[0]
        if input.array.shape[axis] != self.num_features:
            self._refuse_channels(axis, input.array.shape[axis])
        if axis:
            return self._normalized(input)
        return self._normalized(input[None])[0]  # one example without its batch axis

    def _refuse_channels(self, axis: int, channels: int) -> None:
        if self.affine:
            raise ValueError(
                f"{type(self).__name__}: expected input's size at dim={axis} to match "
                f"num_features ({self.num_features}), but got: {channels}."
            )
        warnings.warn(
            f"input's size at dim={axis} does not match num_features ({self.num_features}): it is "
            f"{channels}. num_features is not used, because affine=False.",
            stacklevel=4,
        )

    def _normalized(self, input: Tensor) -> Tensor:
        by_input = self.training or not self.track_running_stats
        return instance_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, by_input,
            self.momentum or 0.0, self.eps,
        )  # fmt: skip


class InstanceNorm1d(_InstanceNorm):
    """`BatchNorm1d` of each example by itself: (N, C, L) or (C, L).

    Arguments as there, but neither weight and bias nor running statistics by default. Ulyanov et
    al. 2016, arXiv:1607.08022.
    """

    _axes = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images: (N, C, H, W) or (C, H, W)."""

    _axes = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes: (N, C, D, H, W) or (C, D, H, W)."""

    _axes = (4, 5)


def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None,
    weight: Tensor | None = None, bias: Tensor | None = None, training: bool = False,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(input - mean) / sqrt(variance + eps) of each channel, then * weight + bias.

    input         (N, C, ...)
    running_mean  (C,), and running_var: the statistics to normalise by, or to update
    training      take the batch's own statistics, and move the running ones towards them by
                  `momentum`; the running variance takes n / (n - 1) of the batch's

    Raises ValueError for a single value per channel or eps = 0 in training and for eps < 0,
    RuntimeError for vectors that are not (C,), or missing. Ioffe & Szegedy 2015, arXiv:1502.03167.
    """
    shape = input.array.shape
    if training:
        _check_enough(shape, 1, math.prod(shape) // max(shape[1], 1) if len(shape) > 1 else 0)
    if eps < 0 or (training and eps == 0):
        bound = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {bound}, but got {eps}")
    if not training and (running_mean is None or running_var is None):
        missing = "running_mean" if running_mean is None else "running_var"
        raise RuntimeError(f"batch_norm: {missing} must be defined in evaluation mode")
    vectors = {"running_mean": running_mean, "running_var": running_var, "weight": weight,
               "bias": bias}  # fmt: skip
    _check_channels("batch_norm", input, vectors)
    if not training:
        return _in_type_of_input(_by_running, input, running_mean, running_var, weight, bias, eps)
    if (running_mean is None) != (running_var is None):
        raise ValueError(
            "batch_norm: running_mean and running_var must either both be None or neither be None"
        )
    axes = (0, *range(2, len(shape)))
    return _by_batch(input, axes, running_mean, running_var, weight, bias, momentum, eps)


def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None,
    weight: Tensor | None = None, bias: Tensor | None = None, use_input_stats: bool = True,
    momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """`batch_norm` of each example by itself: (N, C, ...).

    The running statistics move towards the means over the examples. Without `use_input_stats`
    they are what is normalised by. Ulyanov et al. 2016, arXiv:1607.08022.
    """
    shape = input.array.shape
    vectors = {"running_mean": running_mean, "running_var": running_var, "weight": weight,
               "bias": bias}  # fmt: skip
    if use_input_stats:
        _check_enough(shape, 2, math.prod(shape[2:]))
        _check_channels("instance_norm", input, vectors)
        axes = tuple(range(2, len(shape)))
        return _by_batch(input, axes, running_mean, running_var, weight, bias, momentum, eps)
    if running_mean is None or running_var is None:
        raise RuntimeError(
            "instance_norm: Expected running_mean and running_var to be defined when "
            "use_input_stats is false"
        )
    _check_channels("instance_norm", input, vectors)
    return _in_type_of_input(_by_running, input, running_mean, running_var, weight, bias, eps)


def _by_running(input: Tensor, mean: Any, var: Any, weight: Any, bias: Any, eps: float) -> Tensor:
    """Normalised by given statistics: one multiplication and one addition for each element."""
    scale = 1 / ops.sqrt(var + eps)
    scale = scale if weight is None else scale * weight
    shift = -mean * scale
    shift = shift if bias is None else shift + bias
    return ops.affine(input, scale, shift)


@quiet
def _by_batch(
    input: Tensor, axes: tuple[int, ...], running_mean: Any, running_var: Any, weight: Any,
    bias: Any, momentum: float, eps: float,
) -> Tensor:  # fmt: skip
    """Normalised by the statistics of the input itself over `axes`; updates the running ones."""
    x, known = input.array, None
    if (running_mean is not None or running_var is not None) and x.size:
        known = xp(x).moments(x.astype("float32") if x.dtype is HALF else x, axes)
        n = math.prod(x.shape[a] for a in axes)
        for running, new, factor in zip(
            (running_mean, running_var), known, (1.0, n / max(n - 1, 1)), strict=True
        ):
            if running is not None:  # without recording, as all that is done to buffers
                mean = new.reshape(-1, x.shape[1])
                mean = mean[0] if len(mean) == 1 else mean.mean(axis=0)
                xp(x).approach(running.array, mean, momentum, factor)
    return _standardized(input, weight, bias, axes, eps, known=known, channels=x.ndim > 2)


publish(globals(), __all__)
