"""Complex tensors: made of two real ones, and taken apart."""

from __future__ import annotations

import math

from .. import ops
from ..arrays import dtypes
from ..arrays.xp import xp
from ..core.tensor import Tensor, wrap_plain
from .shape import broadcast_tensors

__all__ = [
    "adjoint", "angle", "complex", "conj", "conj_physical", "imag", "is_complex", "is_conj",
    "isreal", "polar", "real", "resolve_conj", "view_as_complex", "view_as_real",
]  # fmt: skip


def is_complex(input: Tensor) -> bool:
    """Whether the elements are complex numbers."""
    return bool(input.array.dtype.kind == "c")


def complex(real: Tensor, imag: Tensor) -> Tensor:
    """real + i imag, broadcast; both float32 (complex64) or float64 (complex128).

    Raises RuntimeError for other types, and for two that differ.
    """
    _check_parts("complex", real, imag)
    return _joined(real, imag)


def _joined(real: Tensor, imag: Tensor) -> Tensor:
    return ops.view_as_complex(ops.stack(broadcast_tensors(real, imag), axis=-1))


def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """abs * (cos(angle) + i sin(angle)), broadcast."""
    _check_parts("polar", abs, angle)
    return _joined(ops.mul(abs, ops.cos(angle)), ops.mul(abs, ops.sin(angle)))


def refuse_half(name: str, x: Tensor) -> None:
    """Raise RuntimeError for float16."""
    if x.array.dtype == dtypes.float16:
        raise RuntimeError(
            f"{name}: there are no complex numbers of float16 here; convert with .float()"
        )


def _check_parts(name: str, a: Tensor, b: Tensor) -> None:
    refuse_half(name, a)
    if a.array.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(
            f"{name}(): Expected both inputs to be Half, Float or Double tensors but got "
            f"{dtypes.name_of(a.array.dtype)} and {dtypes.name_of(b.array.dtype)}"
        )
    if a.array.dtype != b.array.dtype:
        raise RuntimeError(
            f"{name}(): Expected object of scalar type {dtypes.name_of(a.array.dtype)} but got "
            f"scalar type {dtypes.name_of(b.array.dtype)} for second argument"
        )


def real(input: Tensor) -> Tensor:
    """The real part, a view; of real numbers themselves."""
    return ops.real_part(input) if is_complex(input) else input


def imag(input: Tensor) -> Tensor:
    """The imaginary part. Raises RuntimeError for real numbers."""
    if not is_complex(input):
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return ops.imag_part(input)


def conj(input: Tensor) -> Tensor:
    """x - iy for x + iy; real numbers as they are. Computed at once, not lazily as in PyTorch."""
    return ops.conj(input) if is_complex(input) else input


def conj_physical(input: Tensor) -> Tensor:
    """The same as `conj`."""
    return conj(input)


def resolve_conj(input: Tensor) -> Tensor:
    """`input`: conjugates are computed at once here."""
    return input


def is_conj(input: Tensor) -> bool:
    """False: conjugates are computed at once here."""
    return False


def isreal(input: Tensor) -> Tensor:
    """Whether each element has no imaginary part."""
    return wrap_plain(xp(input.array).isreal(input.array))


def angle(input: Tensor) -> Tensor:
    """The angle of each complex number, in [-pi, pi]; of a real one 0, or pi below 0."""
    if is_complex(input):
        return ops.angle(input)
    x = input if input.array.dtype.kind == "f" else input.to(dtypes.get_default_dtype())
    return ops.where(x.array < 0, math.pi, ops.where(x.array != x.array, x, x * 0))


def view_as_real(input: Tensor) -> Tensor:
    """(..., 2): real and imaginary parts, in the same memory. Refuses real numbers."""
    if not is_complex(input):
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return ops.view_as_real(input)


def view_as_complex(input: Tensor) -> Tensor:
    """input[..., 0] + i input[..., 1] of (..., 2), in the same memory where it lies together.

    Raises RuntimeError for other types than float32 and float64, and another last axis.
    """
    refuse_half("view_as_complex", input)
    if input.array.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {dtypes.name_of(input.array.dtype)}"
        )
    if not input.array.ndim or input.array.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    return ops.view_as_complex(input)


def adjoint(input: Tensor) -> Tensor:
    """The conjugate with the last two axes exchanged."""
    return ops.swapaxes(conj(input), -1, -2)
