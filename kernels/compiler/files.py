"""The files of a generated kernel: written in one step; damaged ones are noticed and made anew.

Numba loads machine code as it finds it. So its digest is noted beside the kernel's text when it is
written, and looked at before it is loaded again: a disk that was full, a copy that broke off or a
flipped bit would be a crash at best. What else is damaged (Numba's index, Python's own file) says
so when it is read. Either way all that was compiled of this text is removed, and compiled again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from numba import config
from numba.core.dispatcher import Dispatcher


def replaced(path: Path, load: Callable[[Path], ModuleType]) -> ModuleType:
    """`load(path)`, once more if what was compiled of that text cannot be loaded."""
    notes = path.with_suffix(f".{sys.implementation.cache_tag}.sums")
    known = notes.exists()
    if known and not _as_noted(notes):
        _remove(path, notes)
        known = False
    try:
        module = load(path)
    except Exception:
        if not _remove(path, notes):
            raise  # nothing was there that could be damaged: the text is at fault
        module, known = load(path), False
    if not known or _compiled_something(module):
        with suppress(OSError):  # what is not noted is loaded all the same
            _note(path, notes)
    return module


def _as_noted(notes: Path) -> bool:
    """Whether all files that were noted are what they were; an empty note is a damaged one."""
    folder = _folder(notes)
    try:
        lines = [line.split(" ", 1) for line in notes.read_text(encoding="utf-8").splitlines()]
        return bool(lines) and all(_digest(folder / name) == digest for digest, name in lines)
    except (OSError, ValueError):
        return False


def _note(path: Path, notes: Path) -> None:
    """Note what is there; once more where another process wrote its own meanwhile."""
    folder, name = _folder(path), f"{path.stem}.*.{_PYTHON}.*.nbc"
    for _ in range(3):
        code = sorted(folder.rglob(name))
        if code:
            lines = [f"{_digest(file)} {file.relative_to(folder)}\n" for file in code]
            write(notes, "".join(lines).encode())
        if not code or _as_noted(notes):
            return


def _compiled_something(module: ModuleType) -> bool:
    kernels = (value for value in vars(module).values() if isinstance(value, Dispatcher))
    return any(kernel.stats.cache_misses for kernel in kernels)


_PYTHON = f"py{sys.version_info.major}{sys.version_info.minor}"  # as Numba names its files


def _folder(path: Path) -> Path:
    """Where Numba keeps, somewhere, what it makes of texts beside `path`."""
    return Path(getattr(config, "CACHE_DIR", "") or path.parent)  # that is NUMBA_CACHE_DIR


def _remove(path: Path, notes: Path) -> bool:
    """Remove what was made of the text; return whether there was anything."""
    own = Path(importlib.util.cache_from_source(str(path)))
    found = [*_folder(path).rglob(f"{path.stem}.*.nb[ci]"), own, notes]
    there = [file for file in found if file.exists()]
    for file in there:
        file.unlink(missing_ok=True)  # another process may be at it, too
    return bool(there)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step, so that another process never reads half a file."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def seal(path: Path, data: bytes) -> None:
    """Write `data` behind its digest."""
    write(path, hashlib.sha256(data).digest() + data)


def sealed(path: Path) -> bytes | None:
    """What was sealed there, or None if nothing is, or something else."""
    if not path.exists():
        return None
    digest, data = (content := path.read_bytes())[:32], content[32:]
    return data if hashlib.sha256(data).digest() == digest else None
