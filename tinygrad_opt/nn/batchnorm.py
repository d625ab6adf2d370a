"""BatchNorm and InstanceNorm: normalisation of channels, with running statistics."""

from __future__ import annotations

import warnings
from typing import Any

from .._tensor import Tensor
from ..creation import ones, tensor, zeros
from .normalization import _Affine, _register_affine
from .standardization import batch_norm, instance_norm

__all__ = [
    "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d",
    "InstanceNorm3d",
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
