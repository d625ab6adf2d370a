"""Looking up and adding what a Module owns, by dotted path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.tensor import Tensor
from .parameter import Parameter
from .registry import BUFFER, MODULE, PARAMETER, Registry

__all__ = ["Paths"]


class Paths(Registry):
    """The methods of Module that take a path or a name."""

    if TYPE_CHECKING:  # parameters, buffers and modules are attributes

        def __getattr__(self, name: str) -> Any: ...

    def get_submodule(self, target: str) -> Any:
        """The module at a dotted path; "" is this one. Raises AttributeError where it ends."""
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Registry):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Any, strict: bool = False) -> None:
        """Puts `module` at a dotted path, in place of what is there or as a new submodule.

        `strict`: there must be one already. Raises ValueError for an empty path or another type,
        AttributeError where the path ends.
        """
        if not target:
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Registry):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if hasattr(parent, name):
            if not isinstance(getattr(parent, name), Registry):
                raise AttributeError(f"`{name}` is not an nn.Module")
        elif strict:
            raise AttributeError(f"{type(parent).__name__} has no attribute `{name}`")
        setattr(parent, name, module)

    def _get_tensor(self, target: str, kind: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        if module._kinds.get(name) != kind:
            raise AttributeError(f"`{name}` is not {what}")
        return getattr(module, name)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path. Raises AttributeError if there is none."""
        return self._get_tensor(target, PARAMETER, "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path. Raises AttributeError if there is none."""
        return self._get_tensor(target, BUFFER, "a buffer")

    def add_module(self, name: str, module: Any) -> None:
        """Makes `module` the submodule `name`.

        Raises TypeError for anything but a Module, KeyError for an unusable or taken name.
        """
        self._check_name(name, MODULE)
        if module is not None and not isinstance(module, Registry):
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._register(name, module, MODULE)

    def register_module(self, name: str, module: Any) -> None:
        """The same as `add_module`."""
        self.add_module(name, module)
