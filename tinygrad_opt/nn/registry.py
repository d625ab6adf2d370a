"""What a Module owns: the parameters, buffers and submodules among its attributes.

The values are ordinary attributes, so that reading `self.weight` costs a dictionary look-up. Beside
them one dictionary, `_kinds`, says which names are registered, as what, and in which order.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from ..autograd.hooks import RemovableHandle, add_hook
from ..core.tensor import Tensor
from .parameter import Buffer, Parameter

__all__ = [
    "BUFFER", "MODULE", "PARAMETER", "Registry", "register_module_buffer_registration_hook",
    "register_module_module_registration_hook", "register_module_parameter_registration_hook",
]  # fmt: skip

PARAMETER, BUFFER, MODULE = "parameter", "buffer", "module"

# Functions hook(module, name, value) of all modules; what one returns takes the value's place.
_registration: dict[str, OrderedDict[int, Any]] = {
    kind: OrderedDict() for kind in (PARAMETER, BUFFER, MODULE)
}


class _NotYet:
    """What is found in place of `_kinds` where `Module.__init__` did not run."""

    def __get__(self, module: Any, owner: type) -> Any:
        if module is None:
            return self
        raise AttributeError(
            f"{owner.__name__} was used before Module.__init__() call: begin "
            f"{owner.__name__}.__init__ with super().__init__()"
        )


class Registry:
    """Keeps `_kinds` while attributes come and go. The base of Module, and only of Module."""

    _kinds: Any = _NotYet()  # {name: PARAMETER, BUFFER or MODULE}, in order of registration
    _transient: set[str]  # names of buffers that stay out of state_dict

    def __init__(self) -> None:
        self.__dict__["_kinds"] = {}
        self.__dict__["_transient"] = set()

    def __setattr__(self, name: str, value: Any) -> None:
        kinds = self.__dict__.get("_kinds")
        kind = _kind_of(value)
        if kinds is None:
            if kind is not None:
                raise AttributeError(
                    f"cannot assign {kind}s before Module.__init__() call: begin "
                    f"{type(self).__name__}.__init__ with super().__init__()"
                )
            object.__setattr__(self, name, value)
            return
        held = kinds.get(name)
        if kind == PARAMETER and value.node is not None:
            raise ValueError(_non_leaf(name))
        if kind == PARAMETER or (kind == MODULE and held != PARAMETER):
            self._register(name, value, kind)
        elif kind == BUFFER and held is None:
            self.register_buffer(name, value, value.persistent)
        elif held is None:
            object.__setattr__(self, name, value)
        else:
            _check_replacement(name, value, held)
            self.__dict__[name] = self._through_hooks(name, value, held)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._kinds.pop(name, None)
        self._transient.discard(name)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # copy.copy hands over the original's own dictionaries; the copy needs its own.
        self.__dict__.update(state)
        self.__dict__["_kinds"] = dict(state["_kinds"])
        self.__dict__["_transient"] = set(state["_transient"])

    def _register(self, name: str, value: Any, kind: str) -> None:
        value = self._through_hooks(name, value, kind)
        if self._kinds.get(name) != kind:
            self._kinds.pop(name, None)  # a name that changes its kind goes to the end
            self._kinds[name] = kind
        self._transient.discard(name)
        self.__dict__[name] = value

    def _through_hooks(self, name: str, value: Any, kind: str) -> Any:
        """What the registration hooks make of a value; as in PyTorch not asked of no parameter."""
        if value is None and kind == PARAMETER:
            return value
        for hook in tuple(_registration[kind].values()):
            changed = hook(self, name, value)
            value = value if changed is None else changed
        return value

    def _own(self, kind: str) -> Iterator[tuple[str, Any]]:
        """(name, value) of the attributes of one kind, None values too."""
        values = self.__dict__
        return ((name, values[name]) for name, k in list(self._kinds.items()) if k == kind)

    @property
    def _parameters(self) -> dict[str, Any]:
        return dict(self._own(PARAMETER))

    @property
    def _buffers(self) -> dict[str, Any]:
        return dict(self._own(BUFFER))

    @property
    def _modules(self) -> dict[str, Any]:
        return dict(self._own(MODULE))

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Makes `param` the parameter `name`; None reserves the name.

        Raises TypeError for anything but a Parameter, KeyError for an unusable or taken name.
        """
        self._check_name(name, PARAMETER)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(nn.Parameter or None required)"
            )
        if param is not None and param.node is not None:
            raise ValueError(_non_leaf(name))
        self._register(name, param, PARAMETER)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Makes `tensor` the buffer `name`: state that moves with the module and is not trained.

        `persistent`: whether it is part of `state_dict`. Raises TypeError for anything but a
        Tensor or None, KeyError for an unusable or taken name.
        """
        self._check_name(name, BUFFER)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(Tensor or None required)"
            )
        self._register(name, tensor, BUFFER)
        if not persistent:
            self._transient.add(name)

    def _check_name(self, name: str, kind: str) -> None:
        if "_kinds" not in self.__dict__:
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and self._kinds.get(name) != kind:
            raise KeyError(f"attribute '{name}' already exists")


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, name, parameter)` before any module gets a parameter.

    A parameter that the hook returns is registered in its place; so for the other two.
    """
    return add_hook(_registration[PARAMETER], hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, name, buffer)` before any module gets a buffer, which may be None."""
    return add_hook(_registration[BUFFER], hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(module, name, submodule)` before any module gets a submodule, or None."""
    return add_hook(_registration[MODULE], hook)


def _kind_of(value: Any) -> str | None:
    """What an assigned value registers as; other buffers only by `register_buffer`."""
    if isinstance(value, Parameter):
        return PARAMETER
    if isinstance(value, Buffer):
        return BUFFER
    return MODULE if isinstance(value, Registry) else None


_EXPECTED = {
    PARAMETER: "parameter '{}' (nn.Parameter or None expected)",
    BUFFER: "buffer '{}' (Tensor or None expected)",
    MODULE: "child module '{}' (nn.Module or None expected)",
}


def _check_replacement(name: str, value: Any, held: str) -> None:
    """Refuse an assignment that would silently turn a registered name into a plain attribute."""
    if value is None or (held == BUFFER and isinstance(value, Tensor)):
        return
    what = _EXPECTED[held].format(name)
    raise TypeError(f"cannot assign '{type(value).__name__}' as {what}")


def _non_leaf(name: str) -> str:
    return (
        f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
        "explicitly; to express one as a function of another Tensor, compute it in forward()"
    )
