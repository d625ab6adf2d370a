"""Layers for several devices or processes: `DataParallel`, and `SyncBatchNorm`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.tensor import Tensor
from .batchnorm import _BatchNorm
from .module import Module

__all__ = ["DataParallel", "SyncBatchNorm"]


class DataParallel(Module):
    """The module under the name `module`, whose result it returns, as PyTorch's on one device.

    module       what it calls
    device_ids   None, or one device; the state dict's names begin with "module."

    Raises NotImplementedError for several devices.

    >>> from tinygrad_opt import nn
    >>> DataParallel(nn.Linear(2, 3))(zeros(4, 2)).shape
    torch.Size([4, 3])
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        if device_ids is not None and len(device_ids) > 1:
            raise NotImplementedError(
                f"DataParallel: tensors lie on one device, got device_ids={list(device_ids)}; "
                "leave them out"
            )
        self.dim, self.module = dim, module
        self.device_ids, self.output_device = list(device_ids or ()), output_device

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module returns."""
        return self.module(*inputs, **kwargs)


class SyncBatchNorm(_BatchNorm):
    """BatchNorm of (N, C, ...), in training over the batches of all processes together.

    Arguments as of `BatchNorm1d`. process_group: the processes, all of them by default. With one
    process, or without a process group, it is BatchNorm. Its gradients cannot be differentiated
    again where there are several.

    >>> SyncBatchNorm(2)(zeros(4, 2, 3)).shape
    torch.Size([4, 2, 3])
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, process_group: Any = None,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )
        self.process_group = process_group

    over_processes: Callable[..., Any] | None = (
        None  # `distributed/batchnorm.py`, once there are several
    )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        several = self.over_processes
        if several is not None and (self.training or self.running_mean is None):
            result = several(self, input)
            if result is not None:
                return result
        return super().forward(input)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"expected at least 2D input (got {input.ndim}D input)")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The module with every BatchNorm in it replaced by a SyncBatchNorm of its tensors."""
        made: Module = module
        if isinstance(module, _BatchNorm) and not isinstance(module, cls):
            made = cls(
                module.num_features, module.eps, module.momentum, module.affine,
                module.track_running_stats, process_group, bias=module.bias is not None,
            )  # fmt: skip
            for table in ("_parameters", "_buffers"):
                for name, value in getattr(module, table).items():
                    setattr(made, name, value)
            made.training = module.training
        for name, child in module.named_children():
            setattr(made, name, cls.convert_sync_batchnorm(child, process_group))
        return made
