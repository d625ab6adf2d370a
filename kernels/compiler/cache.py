"""Generated kernels as files in the user's own folder, where Numba can cache machine code.

Numba's cache is pickle, so whoever can write to the folder can run code as this user: a folder that
others own or may write to is refused. Without a usable folder, kernels are compiled in memory, once
per process, and one warning says so. Damaged files are replaced (`files.py`).
"""

from __future__ import annotations

import functools
import gc
import hashlib
import importlib.util
import linecache
import os
import re
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba import config

from . import files

MOMENT = 0.1  # seconds

_warned = False
_loading: set[object] = set()  # one for each kernel that somebody waits for
_loaded = -MOMENT  # when the last one was there
_holds_collector = False  # whether garbage is not collected because one is loaded

# What a text imports from the kernels' own rooms is compiled into its machine code.
_ROOMS = re.compile(r"^from tinygrad_opt\.kernels\.([\w.]+) import", re.MULTILINE)


def folder() -> Path:
    """Return the folder for generated kernels; it need not exist yet.

    TINYGRAD_OPT_CACHE_DIR names it; else it is `tinygrad_opt` in XDG_CACHE_HOME or in ~/.cache;
    for users without a home, as containers have them, one of their own among temporary files.
    """
    own = os.environ.get("TINYGRAD_OPT_CACHE_DIR")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "tinygrad_opt"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"tinygrad_opt-{os.getuid()}"


def load(function: str, render: Callable[[bool], str], compiler: str = "") -> Any:
    """Return the object named `function` from the kernel text that `render` writes.

    `render(True)` gives the text with Numba's disk cache asked for, `render(False)` without.
    `compiler`: what compiles it beside Numba, with its version.
    """
    with _undisturbed():
        try:
            return _load_from_disk(function, render(True), compiler)
        except Exception as problem:  # a full disk, no folder: none stops a step
            kernel = compile_text(function, render(False))  # an error in the text itself is raised
            _warn_once(problem)
            return kernel


def load_bytes(name: str, made_by: str, make: Callable[[], bytes]) -> bytes:
    """Return what `make` returns, from the disk if it is there, under `name`.

    made_by: all that it depends on.
    """
    with _undisturbed():
        digest = hashlib.sha256(made_by.encode()).hexdigest()[:20]
        found = None
        try:
            path = _usable_folder() / f"{name}_{digest}.o"
            found = files.sealed(path)
            if found is None:
                found = make()
                files.seal(path, found)
        except OSError as problem:  # as in `load`
            _warn_once(problem)
        return make() if found is None else found


def is_busy() -> bool:
    """Whether kernels are being loaded, or the last one was a moment ago: more may follow."""
    return bool(_loading) or time.monotonic() - _loaded < MOMENT


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Note that a kernel is loaded, and let no garbage be collected: a tenth of the time.

    The collector is the whole program's: only the main thread stops it, which waits here and cannot
    be the one that stops it for good meanwhile.
    """
    global _loaded, _holds_collector
    _loading.add(mine := object())
    holds = gc.isenabled() and threading.current_thread() is threading.main_thread()
    if holds:
        gc.disable()
        _holds_collector = True
    try:
        yield
    finally:
        _loading.discard(mine)
        _loaded = time.monotonic()
        if holds:
            gc.enable()
            _holds_collector = False


def _after_fork() -> None:
    # The threads that loaded kernels stayed in the parent.
    global _holds_collector
    _loading.clear()
    if _holds_collector:
        gc.enable()
        _holds_collector = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _load_from_disk(function: str, text: str, compiler: str = "") -> Any:
    # The compilers' versions are part of the name, so two environments do not evict each other's
    # code; and so is the one setting that changes the machine code and that Numba's own index does
    # not know.
    made_by = f"{numba.__version__} {bool(getattr(config, 'BOUNDSCHECK', 0))}{compiler}"
    rooms = set(_ROOMS.findall(text))
    rooms |= {"compiler.within", "direct", "plain"} if rooms else rooms
    rooms |= {"compiler.lanes", "functions"} if "micro" in rooms else rooms
    made_by += "".join(_digest_of_room(name) for name in sorted(rooms))
    digest = hashlib.sha256(f"{made_by}\n{text}".encode()).hexdigest()[:20]
    path = _usable_folder() / f"{function}_{digest}.py"
    _write(path, text)
    return getattr(files.replaced(path, _imported), function)


def _imported(path: Path) -> ModuleType:
    name = f"_tinygrad_opt_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise OSError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Numba looks the kernel's module up by name
    spec.loader.exec_module(module)
    return module


@functools.lru_cache
def _digest_of_room(name: str) -> str:
    """Return a digest of the kernels' module `name`, or of all modules in that folder."""
    place = Path(__file__).parent.parent.joinpath(*name.split("."))
    files = sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return hashlib.sha256(b"\n".join(file.read_bytes() for file in files)).hexdigest()


def compile_text(function: str, text: str) -> Any:
    """Return the object named `function` from `text`, without any file."""
    filename = f"<tinygrad_opt kernel {function} {hashlib.sha256(text.encode()).hexdigest()[:20]}>"
    # Lets tracebacks and inspect.getsource show the text, as they would for a file.
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    module = ModuleType(f"_tinygrad_opt_{function}")
    exec(compile(text, filename, "exec"), module.__dict__)
    return getattr(module, function)


def _usable_folder() -> Path:
    path = folder()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        info = path.stat()
        if info.st_uid != os.getuid():
            raise PermissionError(f"{path} belongs to another user")
        if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{path} can be written to by others; chmod 700 it")
    return path


def _write(path: Path, text: str) -> None:
    data = text.encode()
    with suppress(OSError):  # one that cannot be read is replaced
        if path.read_bytes() == data:
            return  # a new time stamp would invalidate Numba's index
    files.write(path, data)


def _warn_once(problem: Exception) -> None:
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"tinygrad_opt: kernels are compiled anew in every process, the cache folder {folder()} "
        f"is not usable ({problem}); set TINYGRAD_OPT_CACHE_DIR to a folder of your own",
        RuntimeWarning,
        stacklevel=2,
    )
