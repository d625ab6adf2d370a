"""In-place forms as functions: `torch.exp_(x)` is `x.exp_()`. `__all__` names them."""

from __future__ import annotations

import inspect
from typing import Any

from ..core.public import public
from ..core.tensor import Tensor

# Those that PyTorch has at its top level and Tensor has here.
_NAMES = """
    abs_ acos_ acosh_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ asin_ asinh_ atan_ atanh_
    ceil_ clamp_ clamp_max_ clamp_min_ clip_ cos_ cosh_ deg2rad_ detach detach_ erf_ erfc_ exp2_
    exp_ expm1_ fill_ fix_ floor_ frac_ gcd_ index_put_ lcm_ log10_ log1p_ log2_ log_ logit_
    nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ round_ rsqrt_ sigmoid_ sin_ sinc_ sinh_ sqrt_
    square_ tan_ tanh_ trunc_ xlogy_ zero_
""".split()  # noqa: SIM905

__all__ = _NAMES


def _function(name: str) -> Any:
    method = getattr(Tensor, name)

    def function(input: Any, *args: Any, **kwargs: Any) -> Any:
        return method(input, *args, **kwargs)

    function.__wrapped__ = method  # type: ignore[attr-defined]  # whose module knows its annotations
    shown = inspect.signature(method)
    first, *rest = shown.parameters.values()
    function.__signature__ = shown.replace(  # type: ignore[attr-defined]
        parameters=[first.replace(name="input", annotation="Tensor"), *rest]
    )
    function.__doc__ = method.__doc__
    made = public(function, name, module=__name__)
    made.__annotations__["input"] = Tensor  # that module need not know the name
    return made


for _name in __all__:
    globals()[_name] = _function(_name)
