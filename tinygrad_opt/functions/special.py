"""Special functions, as `torch.special` has them; `i0` and `igamma` stand at the top as well."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import ops
from ..arrays import dtypes
from ..core.half import widened
from ..core.promote import result_type
from ..core.tensor import Tensor

__all__ = ["i0", "igamma", "igammac"]


def _of_floats(operation: Callable[..., Any]) -> Any:
    """A function of one tensor; integers count as the default float type."""

    @widened
    def function(input: Tensor) -> Tensor:
        if input.array.dtype.kind != "f":
            input = input.to(dtypes.get_default_dtype())
        return operation(input)

    function.__name__ = function.__qualname__ = operation.__name__
    function.__doc__ = (operation.__doc__ or "").replace("(x)", "(input)").replace("|x|", "|input|")
    return function


i0, i0e, i1, i1e = map(_of_floats, (ops.i0, ops.i0e, ops.i1, ops.i1e))
erfcx, log_ndtr, ndtri = map(_of_floats, (ops.erfcx, ops.log_ndtr, ops.ndtri))


def igamma(input: Tensor, other: Tensor) -> Tensor:
    """P(input, other): the integral of t^(input - 1) e^-t from 0 to other, over gamma(input).

    The regularized lower incomplete gamma function; NaN for negative arguments.
    """
    return ops.igamma(input, other)


def igammac(input: Tensor, other: Tensor) -> Tensor:
    """1 - igamma(input, other), exact where it is small."""
    return ops.igammac(input, other)


def _pair_of_floats(operation: Any, input: Any, other: Any) -> Tensor:
    kind = result_type((input, other))
    kind = kind if kind.kind == "f" else dtypes.get_default_dtype()
    return operation(*(
        x.to(kind) if hasattr(x, "array") else kind.type(x) for x in (input, other)
    ))  # fmt: skip


def entr(input: Tensor) -> Tensor:
    """-input * log(input): 0 at 0, -inf below."""
    return ops.entr(input)


def xlog1py(input: Any, other: Any) -> Tensor:
    """input * log(1 + other), and 0 where input is 0 whatever `other` is, unless it is NaN."""
    return _pair_of_floats(ops.xlog1py, input, other)


def zeta(input: Any, other: Any) -> Tensor:
    """Hurwitz's zeta function: the sum of (other + k)^-input over k = 0, 1, ..."""
    return _pair_of_floats(ops.zeta, input, other)


@widened
def ndtr(input: Tensor) -> Tensor:
    """The normal distribution function: the probability of at most `input`."""
    return ops.mul(ops.erfc(ops.mul(input, -math.sqrt(0.5))), 0.5)


def spherical_bessel_j0(input: Tensor) -> Tensor:
    """sin(input) / input, and 1 at 0."""
    return ops.sinc(ops.mul(input, 1 / math.pi))
