"""Comparisons, logic and bits: results without a gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import dtypes, ops
from .._quiet import SETTINGS, quiet, restore, silence
from ..autograd.errors import explain
from ..autograd.graph import Variable, wrap_plain
from ..backend import xp, xp_of

if TYPE_CHECKING:
    from .._tensor import Tensor

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "eq", "equal", "gcd", "ge", "greater", "greater_equal",
    "gt", "heaviside", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf",
    "lcm", "le", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor",
    "lt", "ne", "not_equal", "signbit",
]  # fmt: skip


def _raw(x: Any) -> Any:
    return x.array if isinstance(x, Variable) else x


def _pairwise(name: str, numpy_name: str, what: str) -> Any:
    def function(input: Any, other: Any) -> Tensor:
        x, y = _raw(input), _raw(other)
        before = silence(SETTINGS)
        try:
            return wrap_plain(getattr(xp_of(x, y), numpy_name)(x, y))
        except (TypeError, ValueError) as error:
            if isinstance(error, TypeError) and "bitwise" in name:
                kind: Any = getattr(x if hasattr(x, "dtype") else y, "dtype", type(y))
                raise NotImplementedError(
                    f'{name}: "{name}_cpu" not implemented for {dtypes.name_of(kind)!r}'
                ) from error
            raise explain(name, (input, other), error) from error
        finally:
            restore(before)

    function.__name__ = name
    function.__doc__ = f"{what}, element by element and broadcast; without gradient."
    return function


eq = _pairwise("eq", "equal", "input == other")
ne = _pairwise("ne", "not_equal", "input != other")
lt = _pairwise("lt", "less", "input < other")
le = _pairwise("le", "less_equal", "input <= other")
gt = _pairwise("gt", "greater", "input > other")
ge = _pairwise("ge", "greater_equal", "input >= other")
logical_and = _pairwise("logical_and", "logical_and", "Whether both are non-zero")
logical_or = _pairwise("logical_or", "logical_or", "Whether one of them is non-zero")
logical_xor = _pairwise("logical_xor", "logical_xor", "Whether exactly one of them is non-zero")
bitwise_and = _pairwise("bitwise_and", "bitwise_and", "input & other")
bitwise_or = _pairwise("bitwise_or", "bitwise_or", "input | other")
bitwise_xor = _pairwise("bitwise_xor", "bitwise_xor", "input ^ other")
bitwise_left_shift = _pairwise("bitwise_left_shift", "left_shift", "input << other")
bitwise_right_shift = _pairwise("bitwise_right_shift", "right_shift", "input >> other")
gcd = _pairwise("gcd", "gcd", "The greatest common divisor")
lcm = _pairwise("lcm", "lcm", "The least common multiple")


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 where input < 0, 1 where input > 0, and `values` where it is 0; without gradient."""
    x, at_zero = input.array, values.array
    if x.dtype != at_zero.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    step = xp(x).where(x == 0, at_zero, xp(x).cast(x > 0, x.dtype))
    return wrap_plain(xp(x).where(xp(x).isnan(x), 0, step) if x.dtype.kind == "f" else step)


# Of one tensor ------------------------------------------------------------------------------------

isnan, isinf, isfinite, logical_not = ops.isnan, ops.isinf, ops.isfinite, ops.logical_not


def bitwise_not(input: Tensor) -> Tensor:
    """All bits flipped; for bools, logical not."""
    return ~input


def isposinf(input: Tensor) -> Tensor:
    """Whether each element is +inf."""
    return eq(input, float("inf"))


def isneginf(input: Tensor) -> Tensor:
    """Whether each element is -inf."""
    return eq(input, float("-inf"))


def signbit(input: Tensor) -> Tensor:
    """Whether the sign of each element is set: also that of -0.0."""
    x = input.array
    return wrap_plain(xp(x).signbit(x) if x.dtype.kind == "f" else x < 0)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False,
         invert: bool = False) -> Tensor:  # fmt: skip
    """Whether each element is one of `test_elements`."""
    x, among = _raw(elements), _raw(test_elements)
    return wrap_plain(xp_of(x, among).isin(x, among, assume_unique=assume_unique, invert=invert))


# Whole tensors ------------------------------------------------------------------------------------


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and elements."""
    a, b = input.array, other.array
    return tuple(a.shape) == tuple(b.shape) and bool((a == b).all())


@quiet
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """|input - other| <= atol + rtol * |other|, element by element."""
    a, b = input.array, other.array
    if a.dtype != b.dtype:
        raise RuntimeError(
            f"isclose: {dtypes.name_of(a.dtype)} did not match {dtypes.name_of(b.dtype)}; convert "
            "one of them with .to()"
        )
    return wrap_plain(xp(a).isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan))


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds for every element."""
    return bool(isclose(input, other, rtol, atol, equal_nan).array.all())


greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
