"""Operations on lists of tensors, as `torch._foreach_add_`: a loop, for optimizers of others.

Our own optimizers step all parameters in one kernel and need none of these. Every function takes a
list of tensors first; what comes second is a number, a tensor of one element, or a list of as many
numbers or tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.public import named
from ..core.tensor import Tensor
from ..functions.arithmetic import is_one
from . import methods  # noqa: F401  (binds the methods that are called here)

__all__ = ["_foreach_clone", "_foreach_copy_", "_foreach_max", "_foreach_norm", "_foreach_zero_"]

_UNARY = """
    abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg
    reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc
""".split()  # noqa: SIM905
_BINARY = ("add", "sub", "mul", "div", "pow", "maximum", "minimum", "clamp_min", "clamp_max")


def _tensors(name: str, value: Any) -> list[Tensor]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(x, Tensor) for x in value):
        raise TypeError(f"{name}(): argument 'self' must be a list of Tensors")
    return list(value)


def _each(name: str, value: Any, count: int) -> Sequence[Any]:
    """The second argument of each tensor."""
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise RuntimeError(
            f"{name}: Tensor lists must have the same number of tensors, got {count} and "
            f"{len(value)}"
        )
    return value


def _applied(name: str, how: Callable[..., Any], self: Any, *others: Any) -> list[Any]:
    xs = _tensors(name, self)
    columns = [_each(name, other, len(xs)) for other in others]
    return [how(*row) for row in zip(xs, *columns, strict=True)]


def _unary(method: str) -> Any:
    def form(self: Any) -> Any:
        made = _applied(f"_foreach_{method}", getattr(Tensor, method), self)
        return None if method.endswith("_") else made

    return form


def _method(method: str) -> Callable[..., Any]:
    """The method, or the function over it that an in-place form lacks."""
    found = getattr(Tensor, method, None)
    if found is not None:
        return found
    plain = getattr(Tensor, method[:-1])
    return lambda x, other: x.copy_(plain(x, other))


def _binary(method: str) -> Any:
    how = _method(method)

    def form(self: Any, other: Any, *, alpha: float = 1) -> Any:
        def scaled(x: Any, y: Any) -> Any:
            if method.startswith(("max", "min", "clamp")) and not isinstance(y, Tensor):
                kind = "max" if method.startswith(("min", "clamp_max")) else "min"
                return getattr(x, f"clamp{'_' * method.endswith('_')}")(**{kind: y})
            return how(x, y) if is_one(alpha) else how(x, y, alpha=alpha)

        made = _applied(f"_foreach_{method}", scaled, self, other)
        return None if method.endswith("_") else made

    return form


def _ternary(method: str) -> Any:
    how = getattr(Tensor, method)

    def form(self: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Any:
        if isinstance(value, Tensor):
            value = value.tolist()
        made = _applied(
            f"_foreach_{method}",
            lambda x, a, b, v: how(x, a, b, value=v),
            self,
            tensor1,
            tensor2,
            value,
        )
        return None if method.endswith("_") else made

    return form


def _lerp(method: str) -> Any:
    def form(self: Any, tensors1: Any, weight: Any) -> Any:
        made = _applied(f"_foreach_{method}", getattr(Tensor, method), self, tensors1, weight)
        return None if method.endswith("_") else made

    return form


for _makers, _names in (
    (_unary, _UNARY), (_binary, _BINARY), (_ternary, ("addcdiv", "addcmul")), (_lerp, ("lerp",)),
):  # fmt: skip
    for _name in _names:
        for _form in (_name, f"{_name}_"):
            _made = _makers(_form)
            _made.__doc__ = f"`{_form}` of each tensor of a list."
            globals()[f"_foreach_{_form}"] = named(_made, f"_foreach_{_form}", module=__name__)
            __all__ += [f"_foreach_{_form}"]


def _foreach_norm(self: Any, ord: Any = 2, dtype: Any = None) -> list[Tensor]:
    """The norm of each tensor of a list."""
    return _applied("_foreach_norm", lambda x: x.norm(ord, dtype=dtype), self)


def _foreach_max(self: Any) -> list[Tensor]:
    """The largest element of each tensor of a list."""
    return _applied("_foreach_max", lambda x: x.max(), self)


def _foreach_clone(self: Any) -> list[Tensor]:
    """A copy of each tensor of a list."""
    return _applied("_foreach_clone", lambda x: x.clone(), self)


def _foreach_copy_(self: Any, src: Any, non_blocking: bool = False) -> None:
    """Lets each tensor of a list take over the values of another list's."""
    _applied("_foreach_copy_", lambda x, y: x.copy_(y), self, src)


def _foreach_zero_(self: Any) -> None:
    """Sets each tensor of a list to 0."""
    _applied("_foreach_zero_", lambda x: x.zero_(), self)


# What `torch.utils._foreach_utils` has -----------------------------------------------------------


def _group_tensors_by_device_and_dtype(
    tensorlistlist: Any, with_indices: bool = False
) -> dict[Any, Any]:
    """{(device, type) of the first list's tensors: (the lists of those places, the places)}."""
    groups: dict[Any, list[int]] = {}
    for i, tensor in enumerate(tensorlistlist[0]):
        groups.setdefault((tensor.device, tensor.dtype), []).append(i)
    return {
        key: ([[column[i] for i in places] if column else [] for column in tensorlistlist], places)
        for key, places in groups.items()
    }


def _device_has_foreach_support(device: Any) -> bool:
    return True


def _has_foreach_support(tensors: Any, device: Any) -> bool:
    return True
