"""Names that set the scene at the head of a script, as far as PyTorch has them at its top level.

Results here are the same from run to run, float32 products are computed in float32, and whoever
asks for that is served: these functions keep what they are told and tell it back. What has an
effect says so: `set_default_tensor_type`.
"""

from __future__ import annotations

from typing import Any

from ..arrays import dtypes
from ..arrays.device import get_default_device, set_default_device
from ..core.node import Variable
from ..kernels.threads import get_num_threads

__all__ = [
    "are_deterministic_algorithms_enabled", "compiled_with_cxx11_abi", "get_default_device",
    "get_deterministic_debug_mode", "get_device", "get_float32_matmul_precision",
    "get_num_interop_threads", "is_deterministic_algorithms_warn_only_enabled", "is_storage",
    "is_warn_always_enabled", "set_default_device", "set_default_tensor_type",
    "set_deterministic_debug_mode", "set_float32_matmul_precision", "set_flush_denormal",
    "set_num_interop_threads", "set_warn_always", "typename", "use_deterministic_algorithms",
]  # fmt: skip

_MODES = ("default", "warn", "error")
_PRECISIONS = ("highest", "high", "medium")


class _Told:
    """What was asked for last."""

    mode = 0  # 0: default, 1: warn, 2: error
    precision = "highest"
    interop_threads: int | None = None
    warn_always = False


# Determinism --------------------------------------------------------------------------------------


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Kept and told back: the same program gives the same bits anyway, on a CPU for any threads."""
    _Told.mode = 0 if not mode else 1 if warn_only else 2


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` was told."""
    return _Told.mode > 0


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether that was told with `warn_only`."""
    return _Told.mode == 1


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Like `use_deterministic_algorithms`: 0 or "default", 1 or "warn", 2 or "error"."""
    known = [*_MODES, *range(len(_MODES))]
    if debug_mode not in known:
        raise RuntimeError(
            f"set_deterministic_debug_mode: expected one of {known}, got {debug_mode!r}"
        )
    _Told.mode = _MODES.index(debug_mode) if isinstance(debug_mode, str) else int(debug_mode)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2: default, warn, error."""
    return _Told.mode


# Precision, threads, warnings ---------------------------------------------------------------------


def set_float32_matmul_precision(precision: str) -> None:
    """Kept and told back ("highest", "high", "medium"): float32 is computed in float32 here."""
    if precision not in _PRECISIONS:
        raise RuntimeError(
            f"set_float32_matmul_precision: expected one of {list(_PRECISIONS)}, got {precision!r}"
        )
    _Told.precision = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was told."""
    return _Told.precision


def set_flush_denormal(mode: bool) -> bool:
    """False: as PyTorch where it cannot flush denormal numbers, which are kept here."""
    return False


def set_num_interop_threads(num: int) -> None:
    """Kept and told back: operations run one after the other. Raises RuntimeError below 1."""
    if num < 1:
        raise RuntimeError(f"set_num_interop_threads: expects a positive integer, got {num}")
    _Told.interop_threads = num


def get_num_interop_threads() -> int:
    """What was set, or the number of threads of kernels."""
    return _Told.interop_threads or get_num_threads()


def set_warn_always(b: bool) -> None:
    """Kept and told back: Python's filters decide how often a warning is shown."""
    _Told.warn_always = b


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was told."""
    return _Told.warn_always


# Types and devices --------------------------------------------------------------------------------


def set_default_tensor_type(t: Any) -> None:
    """Sets the default type, and for a CUDA type the device: "torch.DoubleTensor", DoubleTensor."""
    if isinstance(t, str):
        dtype, device = dtypes.named(t)
        set_default_device(None if device == "cpu" else device)
    elif hasattr(t, "dtype"):
        dtype = t.dtype
    else:
        raise TypeError(
            "invalid type object: expected a constructor such as torch.FloatTensor, or its name, "
            f"got {t!r}"
        )
    dtypes.set_default_dtype(dtype)


def get_device(input: Any) -> int:
    """The number of the CUDA device that a tensor lies on; -1 for main memory."""
    return input.get_device()


def typename(obj: Any) -> str:
    """The name of a tensor's type ("torch.FloatTensor"), or of a class with its module."""
    if isinstance(obj, Variable):
        return obj.type()  # type: ignore[attr-defined]
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(kind, "__module__", None)
    return kind.__qualname__ if module in (None, "builtins") else f"{module}.{kind.__qualname__}"


def is_storage(obj: Any) -> bool:
    """False: memory has no object of its own here; `tensor.untyped_storage()` looks at it."""
    return False


def compiled_with_cxx11_abi() -> bool:
    """True, for scripts that choose a library by it."""
    return True
