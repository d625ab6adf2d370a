"""Parametrizations: a parameter that is a function of other ones.

`register_parametrization(layer, "weight", f)` makes `layer.weight` mean
`f(layer.parametrizations.weight.original)`. The layer gets a class of its own, of which `weight` is
a property; removing the last parametrization gives the old class back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...autograd.modes import no_grad
from ...core.tensor import Tensor
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization",
    "remove_parametrizations",
]  # fmt: skip

_cache: dict[Any, Tensor] | None = None  # of `cached`: ParametrizationList -> its tensor


@contextmanager
def cached() -> Iterator[None]:
    """Within it, each parametrized tensor is computed once, when it is first read."""
    global _cache
    before, _cache = _cache, {} if _cache is None else _cache
    try:
        yield
    finally:
        _cache = before


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, applied in turn, and what they start from.

    original  what the first one is given; `original0`, `original1`, ... where its `right_inverse`
              returns several tensors, which it then takes as several arguments
    """

    def __init__(self, modules: list[Module], original: Tensor) -> None:
        super().__init__(modules)
        self.is_tensor = True
        try:
            given = self._inverted(original)
        except NotImplementedError:  # there is an inverse, but not with these settings
            given = original
        if isinstance(given, Tensor):
            if given is not original:
                original.array = given.array  # the same Parameter, so that optimizers keep it
            self._hold("original", original, original)
            return
        self.is_tensor = False
        for i, tensor in enumerate(given):
            self._hold(f"original{i}", tensor, original)

    def _hold(self, name: str, tensor: Tensor, like: Tensor) -> None:
        if not isinstance(like, Parameter):
            self.register_buffer(name, tensor)
        elif isinstance(tensor, Parameter):
            self.register_parameter(name, tensor)
        else:
            self.register_parameter(name, Parameter(tensor.detach(), like.requires_grad))

    def _inverted(self, value: Any) -> Any:
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    value = module.right_inverse(value)
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Sets the originals so that the parametrized tensor becomes `value`."""
        for module in self:
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(
                    f"parametrization {type(module).__name__} does not implement right_inverse."
                )
        value = self._inverted(value)
        with no_grad():
            for tensor, new in zip(
                self._originals(), [value] if self.is_tensor else value, strict=True
            ):
                tensor.copy_(new)

    def _originals(self) -> list[Any]:
        own = {**self._parameters, **self._buffers}
        return [tensor for name, tensor in own.items() if name.startswith("original")]

    def forward(self) -> Tensor:
        """The parametrized tensor."""
        modules = list(self)
        value = modules[0](*self._originals())
        for module in modules[1:]:
            value = module(value)
        return value


def _parts(module: Module) -> Any:
    """The ModuleDict of ParametrizationLists."""
    return module.__dict__["parametrizations"]


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether `module` has a parametrization, or one of the tensor `tensor_name`."""
    held = module.__dict__.get("parametrizations")
    if not isinstance(held, ModuleDict):
        return False
    return len(held) > 0 if tensor_name is None else tensor_name in held


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Makes `module.<tensor_name>` the result of `parametrization`; returns the module.

    `parametrization`: a Module from tensor to tensor; its `right_inverse`, if it has one, says
    where to start from, and makes the tensor assignable. `unsafe`: let it change shape and type.

    Raises ValueError if there is no such tensor, or if its shape or type would change.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        before = getattr(module, tensor_name)
        if not unsafe:
            _check_kept(before, parametrization(before))
        if hasattr(parametrization, "right_inverse"):
            _parts(module)[tensor_name].right_inverse(parametrization.right_inverse(before))
        _parts(module)[tensor_name].append(parametrization)
        return module
    if tensor_name not in module._parameters and tensor_name not in module._buffers:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element "
            f"with name '{tensor_name}'"
        )
    original = getattr(module, tensor_name)
    before = original.detach().clone()
    parts = ParametrizationList([parametrization], original)
    if not unsafe:
        _check_kept(before, parts())
    delattr(module, tensor_name)
    _give_class(module)
    _parts(module)[tensor_name] = parts
    setattr(type(module), tensor_name, _property(tensor_name))
    return module


def _check_kept(before: Tensor, after: Any) -> None:
    if not isinstance(after, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(after).__name__}.")
    for what in ("dtype", "shape"):
        old, new = getattr(before, what), getattr(after, what)
        if old != new:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless "
                f"`unsafe` flag is enabled.\nunparametrized {what}: {old}\n"
                f"parametrized {what}: {new}"
            )


def _give_class(module: Module) -> None:
    """A class for this module alone, for its properties."""
    if not is_parametrized(module):
        kind = type(module)
        module.__class__ = type(f"Parametrized{kind.__name__}", (kind,), {"_unparametrized": kind})
        module.add_module("parametrizations", ModuleDict())


def _property(name: str) -> property:
    def get(self: Any) -> Tensor:
        parts = _parts(self)[name]
        if _cache is None:
            return parts()
        if parts not in _cache:
            _cache[parts] = parts()
        return _cache[parts]

    def put(self: Any, value: Tensor) -> None:
        _parts(self)[name].right_inverse(value)

    return property(get, put)


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Makes `tensor_name` an ordinary parameter or buffer again; returns the module.

    `leave_parametrized`: with the value that it has now; else with that of `original`. Raises
    ValueError if it has no parametrization, or several originals and is not to be left as it is.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    parts = _parts(module)[tensor_name]
    if not parts.is_tensor and not leave_parametrized:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is "
            "parametrized in terms of a sequence of tensors."
        )
    original = parts._originals()[0]
    if leave_parametrized:
        with no_grad():
            value = parts()
        if parts.is_tensor:
            original.array = value.array  # the same Parameter, so that optimizers keep it
        else:
            original = Parameter(value) if isinstance(original, Parameter) else value
    delattr(type(module), tensor_name)
    del _parts(module)[tensor_name]
    if isinstance(original, Parameter):
        module.register_parameter(tensor_name, original)
    else:
        module.register_buffer(tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module)._unparametrized  # type: ignore[attr-defined]
    return module
