"""Rooms that are loaded late, by any number of threads at once.

Python holds the lock of a module while it loads it. `import tinygrad_opt.nn.linear` takes the lock
of the file, then that of `nn`; were `nn` to import its files while it is loaded, it would take the
two the other way round, and of two threads that do both one would get a _DeadlockError, or half a
module. So a package that is imported late is only put into its place: its `__init__.py` is run when
it is first asked for a name. While one of its files is loaded, that file's thread is told what is
there already: a file imports from files beside it, never what the package makes of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any, TypeAlias

__all__ = ["Finder"]

_PACKAGE = __name__.split(".")[0]

Furnish: TypeAlias = Callable[[ModuleType, str], None]

_PYTHONS = {  # what importing asks a package for, and inspecting anything
    "__class__", "__file__", "__loader__", "__name__", "__package__", "__path__", "__spec__",
    "__wrapped__",
}  # fmt: skip


class _Loading(threading.local):
    """The modules that this thread is loading."""

    def __init__(self) -> None:
        self.names: list[str] = []


_loading = _Loading()


class _Room(ModuleType):
    """A package whose `__init__.py` was not run yet."""

    def __getattribute__(self, name: str) -> Any:
        if name not in _PYTHONS:
            _fill(self)
        return ModuleType.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # Importing sets what it says of a module, and its files.
        if not name.startswith("__") and not isinstance(value, ModuleType):
            _fill(self)
        ModuleType.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        _fill(self)
        ModuleType.__delattr__(self, name)


def _fill(room: ModuleType) -> None:
    """Run a room's `__init__.py`, but for a thread that is loading one of its files."""
    if not any(loaded.startswith(f"{room.__name__}.") for loaded in _loading.names):
        room.__spec__.loader.fill(room)  # type: ignore[union-attr]


class _Loader:
    """The loader of a module that waited."""

    def __init__(self, loader: Any, name: str, room: bool, furnish: Furnish) -> None:
        self._loader, self._name, self._room, self._furnish = loader, name, room, furnish
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        if self._room:
            module.__class__ = _Room
        else:
            self._run(module, self._name)

    def fill(self, room: ModuleType) -> None:
        """Runs `__init__.py`, once; whoever asks meanwhile waits."""
        with self._lock:
            if type(room) is _Room:
                self._run(room, f"{self._name}.__init__")
                room.__class__ = ModuleType  # type: ignore[assignment]

    def _run(self, module: ModuleType, name: str) -> None:
        _loading.names.append(name)
        try:
            self._loader.exec_module(module)
            self._furnish(module, self._name.removeprefix(f"{_PACKAGE}."))
        finally:
            _loading.names.pop()


class Finder:
    """The first that Python asks for a module: those of the package that wait come by here.

    furnish: given each that was loaded, and its path within the package.
    """

    def __init__(self, furnish: Furnish) -> None:
        self._furnish = furnish

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if not fullname.startswith(f"{_PACKAGE}."):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            room = spec.submodule_search_locations is not None
            loader = _Loader(spec.loader, fullname, room, self._furnish)
            spec.loader = loader  # type: ignore[assignment]
        return spec
