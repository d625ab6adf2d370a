"""How elements lie in memory, by PyTorch's names: `strided`, `channels_last`, and what takes them.

Memory here is main memory or the GPU's, and dense but for row-sparse gradients: `placed` lets the
makers of tensors take PyTorch's words for other memory, and refuses what would not be true.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import Any

__all__ = [
    "channels_last", "channels_last_3d", "contiguous_format", "layout", "memory_format", "placed",
    "preserve_format", "sparse_coo", "strided",
]  # fmt: skip


class _Name:
    """One object of each name, in copies and pickles too."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"torch.{self._name}"


class layout(_Name):
    """Whether all elements are in memory, as `torch.layout`: `strided` or `sparse_coo`."""


class memory_format(_Name):
    """The order of elements in memory, as `torch.memory_format`.

    contiguous_format   the last axis runs fastest
    preserve_format     as the input's elements lie
    channels_last       of images (N, C, H, W) the channels run fastest; channels_last_3d: of
                        volumes (N, C, D, H, W). Kernels here run on contiguous_format, and copy
                        what lies otherwise.
    """


strided, sparse_coo = layout("strided"), layout("sparse_coo")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last, channels_last_3d = memory_format("channels_last"), memory_format("channels_last_3d")

_AXES = {channels_last: 4, channels_last_3d: 5}


def check_format(name: str, format: Any, ndim: int) -> bool:
    """Whether the channels are to run fastest.

    Raises TypeError for what is not a memory_format, RuntimeError for another number of axes.
    """
    if not isinstance(format, memory_format):
        raise TypeError(
            f"{name}(): argument 'memory_format' must be torch.memory_format, not "
            f"{type(format).__name__}"
        )
    if _AXES.get(format, ndim) != ndim:
        raise RuntimeError(
            f"{name}: required rank {_AXES[format]} tensor to use {format} format, got {ndim} axes"
        )
    return format in _AXES


def lies_so(array: Any, format: memory_format) -> bool:
    """Whether the elements of an array lie in the order of a format, without gaps."""
    if format in _AXES:
        return array.ndim == _AXES[format] and bool(_channels_behind(array).flags.c_contiguous)
    return bool(array.flags.c_contiguous)


def _channels_behind(x: Any) -> Any:
    return x.transpose(0, *range(2, x.ndim), 1)


def placed(space: dict[str, Any], names: Iterable[str]) -> None:
    """Let the functions `names` of a module take `layout`, `pin_memory` and `memory_format`.

    Their tensors are strided, in ordinary memory, and row-major: `pin_memory` and the formats are
    accepted and change nothing. Raises RuntimeError (when called) for a sparse layout.
    """
    for name in names:
        space[name] = takes_memory(space[name])


def takes_memory(function: Any) -> Any:
    """One function for `placed`."""

    @functools.wraps(function)
    def made(
        *args: Any, layout: Any = None, pin_memory: bool | None = None, memory_format: Any = None,
        **named: Any,
    ) -> Any:  # fmt: skip
        if layout is not None and layout is not strided:
            raise RuntimeError(
                f"{function.__name__}: only strided tensors are made so, got layout={layout}; "
                "sparse_coo_tensor makes row-sparse ones"
            )
        return function(*args, **named)

    shown = inspect.signature(function)
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, default, kind in (
            ("layout", None, "Any"), ("pin_memory", None, "bool | None"),
            ("memory_format", None, "Any"),
        )
    ]  # fmt: skip
    face: Any = made
    face.__signature__ = shown.replace(parameters=[*shown.parameters.values(), *more])
    return face
