"""Comparisons, logic and bits: results without a gradient."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..arrays import dtypes
from ..arrays.element_types import type_of
from ..arrays.quiet import SETTINGS, quiet, restore, silence
from ..arrays.xp import xp, xp_of
from ..core import promote
from ..core.errors import explain
from ..core.node import Variable
from ..core.promote import promoted
from ..core.tensor import Tensor, wrap_plain

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "eq", "equal", "gcd", "ge", "greater", "greater_equal",
    "gt", "heaviside", "is_floating_point", "is_nonzero", "is_same_size", "is_signed",
    "is_tensor", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "lcm",
    "le", "less", "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "lt",
    "ne", "not_equal", "numel", "result_type", "signbit",
]  # fmt: skip


def _raw(x: Any) -> Any:
    return x.array if isinstance(x, Variable) else x


# What is defined for integers alone, and whether for bools too.
_OF_INTS = {
    "bitwise_and": True, "bitwise_or": True, "bitwise_xor": True, "bitwise_left_shift": False,
    "bitwise_right_shift": False, "gcd": False, "lcm": False,
}  # fmt: skip


_SEQUENCES = (list, tuple)


def _whole(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Both in their result type. Raises NotImplementedError where it is not one of integers."""
    kind = promote.result_type((x, y))
    if kind.kind == "f" or (kind.kind == "b" and not _OF_INTS[name]):
        raise NotImplementedError(
            f'{name}: "{name}_cpu" not implemented for {dtypes.name_of(kind)!r}'
        )
    x, y = promoted(x, y)
    return x, y


def _pairwise(name: str, numpy_name: str, what: str, *numbers: str) -> Any:
    """A function of two Tensors; the arguments `numbers` may be numbers."""
    makes_ints = name in _OF_INTS

    def function(input: Any, other: Any) -> Tensor:
        x, y = _raw(input), _raw(other)
        if type(x) in _SEQUENCES or type(y) in _SEQUENCES:
            raise TypeError(
                f"'{name}' not supported between '{type(input).__name__}' and "
                f"'{type(other).__name__}'; make a Tensor of it with tensor(...)"
            )
        before = silence(SETTINGS)
        try:
            if makes_ints:
                x, y = _whole(name, x, y)
            elif hasattr(x, "dtype") and hasattr(y, "dtype"):
                x, y = promoted(x, y)
            return wrap_plain(getattr(xp_of(x, y), numpy_name)(x, y))
        except (TypeError, ValueError) as error:
            raise explain(name, (input, other), error) from error
        finally:
            restore(before)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{what}, element by element and broadcast; without gradient."
    for argument in _BOTH:
        function.__annotations__[argument] = "Tensor | float" if argument in numbers else "Tensor"
    return function


_BOTH = ("input", "other")
eq = _pairwise("eq", "equal", "input == other", "other")
ne = _pairwise("ne", "not_equal", "input != other", "other")
lt = _pairwise("lt", "less", "input < other", "other")
le = _pairwise("le", "less_equal", "input <= other", "other")
gt = _pairwise("gt", "greater", "input > other", "other")
ge = _pairwise("ge", "greater_equal", "input >= other", "other")
logical_and = _pairwise("logical_and", "logical_and", "Whether both are non-zero")
logical_or = _pairwise("logical_or", "logical_or", "Whether one of them is non-zero")
logical_xor = _pairwise("logical_xor", "logical_xor", "Whether exactly one of them is non-zero")
bitwise_and = _pairwise("bitwise_and", "bitwise_and", "input & other", *_BOTH)
bitwise_or = _pairwise("bitwise_or", "bitwise_or", "input | other", *_BOTH)
bitwise_xor = _pairwise("bitwise_xor", "bitwise_xor", "input ^ other", *_BOTH)
bitwise_left_shift = _pairwise("bitwise_left_shift", "left_shift", "input << other", *_BOTH)
bitwise_right_shift = _pairwise("bitwise_right_shift", "right_shift", "input >> other", *_BOTH)
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


def isnan(input: Tensor) -> Tensor:
    """Whether each element is NaN."""
    return ops.isnan(input)


def isinf(input: Tensor) -> Tensor:
    """Whether each element is infinite."""
    return ops.isinf(input)


def isfinite(input: Tensor) -> Tensor:
    """Whether each element is neither NaN nor an infinity."""
    return ops.isfinite(input)


def logical_not(input: Tensor) -> Tensor:
    """Whether each element is 0."""
    return ops.logical_not(input)


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


def isin(elements: Tensor | float, test_elements: Tensor | float, *, assume_unique: bool = False,
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


# Questions about tensors, and types of results ----------------------------------------------------


def is_tensor(obj: Any) -> bool:
    """Whether the object is a Tensor."""
    return isinstance(obj, Variable)


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floats."""
    return bool(input.array.dtype.kind == "f")


def is_signed(input: Tensor) -> bool:
    """Whether the type can hold negative numbers."""
    return input.array.dtype.kind in "if"


def is_nonzero(input: Tensor) -> bool:
    """Whether the single element is not 0. RuntimeError for more or fewer elements."""
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return tuple(input.array.shape) == tuple(other.array.shape)


def numel(input: Tensor) -> int:
    """The number of elements."""
    return int(input.array.size)


def result_type(tensor: Tensor | float, other: Tensor | float) -> Any:
    """The type of arithmetic between the two: tensors or numbers."""
    raw = tuple(x.array if isinstance(x, Variable) else x for x in (tensor, other))
    return type_of(promote.result_type(raw))
