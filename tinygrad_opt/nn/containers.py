"""Modules made of modules: Sequential, ModuleList, ModuleDict."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from .module import Module
from .registry import MODULE

__all__ = ["ModuleDict", "ModuleList", "Sequential"]

L = TypeVar("L", bound="_Numbered")


class _Numbered(Module):
    """Submodules in an order, named "0", "1", ..."""

    def _items(self) -> list[Any]:
        return [module for _, module in self._own(MODULE)]

    def _name(self, index: int) -> str:
        names = [name for name, _ in self._own(MODULE)]
        index = operator.index(index)
        if not -len(names) <= index < len(names):
            raise IndexError(f"index {index} is out of range: there are {len(names)} modules")
        return names[index]

    def _replace(self, modules: Iterable[Module]) -> None:
        modules = list(modules)
        for name, _ in self._own(MODULE):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._sliced(index)
        return self.__dict__[self._name(index)]

    def _sliced(self, index: slice) -> Any:
        return type(self)(self._items()[index])  # type: ignore[call-arg]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), module)

    def __delitem__(self, index: int | slice) -> None:
        modules = self._items()
        if not isinstance(index, slice):
            self._name(index)  # says what is wrong with an index out of range
        del modules[index]
        self._replace(modules)  # counted from 0 again

    def append(self: L, module: Module) -> L:
        """Adds a module at the end; returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def _check_insertion(self, index: int, module: Any) -> None:
        """For subclasses that are stricter than a list."""

    def extend(self: L, modules: Iterable[Module]) -> L:
        """Adds modules at the end; returns the container."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{type(self).__name__}.extend should be called with an iterable, but got "
                f"{type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def insert(self: L, index: int, module: Module) -> L:
        """Puts a module before position `index`; returns the container."""
        modules = self._items()
        self._check_insertion(index, module)
        modules.insert(index, module)
        self._replace(modules)
        return self

    def pop(self, index: int | slice) -> Any:
        """Removes the module at `index` and returns it."""
        module = self[index]
        del self[index]
        return module


class Sequential(_Numbered):
    """Calls its modules one after the other, each with the result of the one before.

    `Sequential(a, b, c)` names them "0", "1", "2"; `Sequential(OrderedDict(name=a, ...))` by the
    keys. Takes indices and slices as a list does.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0] if len(args) == 1 and isinstance(args[0], Mapping) else None
        for name, module in enumerate(args) if named is None else named.items():
            self.add_module(str(name), module)

    def _sliced(self, index: slice) -> Any:
        return type(self)(OrderedDict(list(self._own(MODULE))[index]))

    def _check_insertion(self, index: int, module: Any) -> None:
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}, got {type(module)}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")

    def __add__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                f"add operator supports only objects of Sequential class, but {type(other)} is "
                "given."
            )
        return Sequential(*self, *other)

    def __iadd__(self, other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(
                f"add operator supports only objects of Sequential class, but {type(other)} is "
                "given."
            )
        return self.extend(other)

    def __mul__(self, times: int) -> Sequential:
        _check_times(self, times)
        return Sequential(*(module for _ in range(times) for module in self))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> Sequential:
        _check_times(self, times)
        modules = self._items()
        return self.extend(modules * (times - 1))

    def forward(self, input: Any) -> Any:
        values = self.__dict__
        for name, kind in self._kinds.items():
            if kind == MODULE:
                input = values[name](input)
        return input


def _check_times(network: Any, times: Any) -> None:
    if not isinstance(times, int):
        raise TypeError(f"unsupported operand type(s) for *: {type(network)} and {type(times)}")
    if times <= 0:
        raise ValueError(f"Non-positive multiplication factor {times} for {type(network)}")


class ModuleList(_Numbered):
    """A list whose modules are found by `parameters()`, `to()` and the rest. Has no forward."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> ModuleList:
        return self.extend(other)

    def __repr__(self) -> str:
        # Neighbours that print alike share a line: "(0-2): 3 x Linear(...)".
        runs: list[tuple[int, int, str]] = []
        for i, module in enumerate(self):
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        lines = [
            (f"({a}): {text}" if a == b else f"({a}-{b}): {b - a + 1} x {text}").replace(
                "\n", "\n  "
            )
            for a, b, text in runs
        ]
        body = "\n  " + "\n  ".join(lines) + "\n" if lines else ""
        return f"{self._get_name()}({body})"


class ModuleDict(Module):
    """A dictionary whose modules are found by `parameters()`, `to()` and the rest."""

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def update(self, modules: Any) -> None:
        """Adds or replaces modules: a mapping or pairs (name, module)."""
        if isinstance(modules, (Mapping, ModuleDict)):
            modules = modules.items()
        if not isinstance(modules, Iterable):
            raise TypeError(
                "ModuleDict.update should be called with an iterable of key/value pairs, but got "
                f"{type(modules).__name__}"
            )
        for i, pair in enumerate(modules):
            if not isinstance(pair, Iterable):
                raise TypeError(
                    f"ModuleDict update sequence element #{i} should be Iterable; is "
                    f"{type(pair).__name__}"
                )
            entry = tuple(pair)
            if len(entry) != 2:
                raise ValueError(
                    f"ModuleDict update sequence element #{i} has length {len(entry)}; 2 is "
                    "required"
                )
            self[entry[0]] = entry[1]

    def clear(self) -> None:
        """Removes all modules."""
        for name in list(self):
            del self[name]

    def pop(self, key: str) -> Any:
        """Removes the module `key` and returns it."""
        module = self[key]
        del self[key]
        return module

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        if self._kinds.get(key) != MODULE:
            raise KeyError(key)
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """(name, module) pairs."""
        return self._modules.items()
