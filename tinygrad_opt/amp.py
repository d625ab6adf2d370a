"""Mixed precision by PyTorch's names: `autocast`, which changes nothing, and a real `GradScaler`.

Tensors that are recorded are float32 or float64 here. A training loop that is written for mixed
precision runs, in the precision of its tensors: `autocast` says so once where it is enabled. The
scaler does what it does in PyTorch: it multiplies the loss, divides the gradients, leaves out a
step whose gradients are not finite, and adapts its factor.
"""

from __future__ import annotations

import functools
import math
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from .arrays import element_types
from .arrays.device import Device
from .arrays.device import is_available as gpu_is_available
from .autograd.modes import no_grad
from .core.tensor import Tensor

__all__ = [
    "GradScaler", "autocast", "custom_bwd", "custom_fwd", "get_autocast_dtype",
    "is_autocast_available", "is_autocast_enabled",
]  # fmt: skip

_Function = TypeVar("_Function", bound=Callable[..., Any])
_DTYPES = {"cuda": element_types.float16, "cpu": element_types.bfloat16}
_told = False


class _Active(threading.local):
    """The blocks around the code that runs in this thread."""

    def __init__(self) -> None:
        self.blocks: list[autocast] = []


_active = _Active()


class autocast:
    """The precision stays that of the tensors; for the rest as `torch.autocast`.

    device_type     "cuda" or "cpu"
    dtype           the type that PyTorch would compute in; `get_autocast_dtype` tells it
    enabled         False: not even a warning
    cache_enabled   accepted

    With `enabled` it warns once (UserWarning) that it changes nothing. It is a context manager and
    a decorator.

    >>> with autocast("cpu", enabled=False):
    ...     (tensor([1.0]) * 2).dtype
    torch.float32
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(device_type, str):
            raise ValueError(
                f"Expected `device_type` of type `str`, got: `{type(device_type).__name__}`"
            )
        self.device = Device(device_type).type
        self.fast_dtype = _DTYPES[self.device] if dtype is None else dtype
        self._enabled = enabled

    def __enter__(self) -> autocast:
        if self._enabled:
            _tell()
        _active.blocks.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        _active.blocks.remove(self)

    def __call__(self, func: _Function) -> _Function:
        @functools.wraps(func)
        def called(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return called  # type: ignore[return-value]


def _tell() -> None:
    global _told
    if not _told:
        _told = True
        warnings.warn(
            "autocast changes nothing in tinygrad_opt: tensors keep their type, float32 as a rule; "
            "pass enabled=False to say so yourself (docs/from_pytorch.md)",
            UserWarning,
            stacklevel=3,
        )


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether the code around is in an enabled `autocast` for this device."""
    for block in reversed(_active.blocks):
        if block.device == device_type:
            return block._enabled
    return False


def get_autocast_dtype(device_type: str) -> Any:
    """The type that `autocast` was given for this device, or PyTorch's default."""
    for block in reversed(_active.blocks):
        if block.device == device_type:
            return block.fast_dtype
    return _DTYPES[Device(device_type).type]


def is_autocast_available(device_type: str) -> bool:
    """Whether tensors of this device would be computed in less precision: never here."""
    Device(device_type)
    return False


def custom_fwd(
    fwd: _Function | None = None, *, device_type: str = "cuda", cast_inputs: Any = None
) -> Any:
    """The `forward` of a Function as it is: there is no autocast to guard it against."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)
    return fwd


def custom_bwd(bwd: _Function | None = None, *, device_type: str = "cuda") -> Any:
    """The `backward` of a Function as it is."""
    return functools.partial(custom_bwd, device_type=device_type) if bwd is None else bwd


class GradScaler:
    """Scales the loss so that small gradients survive, and leaves out steps that overflowed.

    device            "cuda" or "cpu"; for "cuda" without a GPU it is disabled, as in PyTorch
    init_scale        the first factor
    growth_factor     the factor times this after `growth_interval` finite steps in a row (> 1)
    backoff_factor    the factor times this after a step that was left out (< 1)
    enabled           False: every method passes its argument through

    >>> from tinygrad_opt import optim
    >>> scaler = GradScaler("cpu", init_scale=8.0)
    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = optim.SGD([w], lr=0.5)
    >>> scaler.scale((w * w).sum()).backward()
    >>> w.grad
    tensor([16.])
    >>> _ = scaler.step(optimizer)
    >>> scaler.update()
    >>> w
    tensor([0.], requires_grad=True)
    """

    def __init__(
        self, device: str = "cuda", init_scale: float = 65536.0, growth_factor: float = 2.0,
        backoff_factor: float = 0.5, growth_interval: int = 2000, enabled: bool = True,
    ) -> None:  # fmt: skip
        self._device = Device(device).type
        self._enabled = enabled and (self._device == "cpu" or gpu_is_available())
        if not growth_factor > 1.0:
            raise ValueError(f"GradScaler: growth_factor must be > 1.0, got {growth_factor}")
        if not backoff_factor < 1.0:
            raise ValueError(f"GradScaler: backoff_factor must be < 1.0, got {backoff_factor}")
        self._scale, self._growth, self._backoff = init_scale, growth_factor, backoff_factor
        self._interval, self._finite_steps = growth_interval, 0
        self._found: defaultdict[int, dict[str, bool]] = defaultdict(dict)

    def scale(self, outputs: Any) -> Any:
        """The tensor, or all in a list or tuple, times the factor."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(x) for x in outputs)
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divides the gradients of an optimizer's parameters by the factor, before clipping.

        Raises RuntimeError if that was done since the last `update`, or the step was taken.
        """
        if not self._enabled:
            return
        noted = self._found[id(optimizer)]
        if "stepped" in noted:
            raise RuntimeError("unscale_() is being called after step().")
        if "unscaled" in noted:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        overflow = False
        with no_grad():
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad.mul_(1.0 / self._scale)
                        overflow |= not _finite(p.grad)
        noted["unscaled"] = overflow

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step()`, unless a gradient is not finite; then None, and nothing moves.

        Raises RuntimeError for a closure, and if the step was taken since the last `update`.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or args:
            raise RuntimeError(
                "Closure use is not currently supported if GradScaler is enabled: the gradients "
                "that it makes would not be scaled"
            )
        noted = self._found[id(optimizer)]
        if "stepped" in noted:
            raise RuntimeError("step() has already been called since the last update().")
        if "unscaled" not in noted:
            self.unscale_(optimizer)
        noted["stepped"] = True
        return None if noted["unscaled"] else optimizer.step(**kwargs)

    def update(self, new_scale: Any = None) -> None:
        """Adapts the factor to what the steps since the last `update` found, or sets it.

        Raises RuntimeError if no step was taken or unscaled.
        """
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._found:
            raise RuntimeError("No inf checks were recorded prior to update.")
        elif any(noted.get("unscaled") for noted in self._found.values()):
            self._scale, self._finite_steps = self._scale * self._backoff, 0
        else:
            self._finite_steps += 1
            if self._finite_steps == self._interval:
                grown = self._scale * self._growth
                if math.isfinite(np.float32(grown)):
                    self._scale = grown
                self._finite_steps = 0
        self._found.clear()

    def get_scale(self) -> float:
        """The factor; 1.0 if disabled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the factor grows by."""
        return self._growth

    def set_growth_factor(self, new_factor: float) -> None:
        """Sets what the factor grows by."""
        self._growth = new_factor

    def get_backoff_factor(self) -> float:
        """What the factor shrinks by."""
        return self._backoff

    def set_backoff_factor(self, new_factor: float) -> None:
        """Sets what the factor shrinks by."""
        self._backoff = new_factor

    def get_growth_interval(self) -> int:
        """After how many finite steps the factor grows."""
        return self._interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Sets after how many finite steps the factor grows."""
        self._interval = new_interval

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def state_dict(self) -> dict[str, Any]:
        """The factor and its settings, for a checkpoint; empty if disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale, "growth_factor": self._growth, "backoff_factor": self._backoff,
            "growth_interval": self._interval, "_growth_tracker": self._finite_steps,
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from `state_dict`. Raises RuntimeError for that of a disabled scaler."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled "
                "instance of GradScaler."
            )
        self._scale, self._growth = state_dict["scale"], state_dict["growth_factor"]
        self._backoff, self._interval = state_dict["backoff_factor"], state_dict["growth_interval"]
        self._finite_steps = state_dict["_growth_tracker"]


def _finite(gradient: Any) -> bool:
    array = gradient._values().array if gradient.is_sparse else gradient.array
    return bool(np.isfinite(array).all())
