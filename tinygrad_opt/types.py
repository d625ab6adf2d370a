"""Types for annotations, as `torch.types` and `torch.nn.common_types` have them."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import IO, Any, TypeAlias

from .arrays.device import Device as _Device
from .core.tensor import Size, Tensor

__all__ = ["Device", "FileLike", "Number", "Storage"]

Number: TypeAlias = "int | float | bool"
Device: TypeAlias = "_Device | str | int | None"
FileLike: TypeAlias = "str | PathLike[str] | IO[bytes]"
Storage: TypeAlias = Any

_int, _float, _bool = int, float, bool
_size: TypeAlias = "Size | list[int] | tuple[int, ...]"
_TensorOrTensors: TypeAlias = "Tensor | Sequence[Tensor]"
_scalar_or_tuple_any_t: TypeAlias = "int | tuple[int, ...]"
_size_1_t: TypeAlias = "int | tuple[int]"
_size_2_t: TypeAlias = "int | tuple[int, int]"
_size_3_t: TypeAlias = "int | tuple[int, int, int]"
_size_any_t: TypeAlias = "int | tuple[int, ...]"
