"""Kernels of one text for all types of floats, each compiled when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import pool
from ..pool import ahead

__all__ = ["ByType"]


class ByType(dict[tuple[str, str], Any]):
    """Kernels by name and by the character of their type: `kernels["moments", "f"]`.

    `text(name)` is what is compiled; in it stand for the type and its arrays {dtype}, {vector} and
    {matrix}, for the bytes of an element {size}, and {cache} for whether Numba keeps it on disk;
    `settings` are further such names.
    """

    def __init__(
        self, text: Callable[[str], str], back: Mapping[str, str] = {}, **settings: Any
    ) -> None:
        """back: for names of kernels, those of the kernels that gradients take."""
        super().__init__()
        self._text, self._back, self._settings = text, back, settings

    def __missing__(self, key: tuple[str, str]) -> Any:
        name, char = key
        back = [(self._load, self._back[name], char)] if name in self._back else []
        self[key] = ahead.made(self._load, name, char, back=back)
        return self[key]

    def ready(self, name: str, char: str) -> Any:
        """The kernel, or None while it is being made: for what NumPy does as well."""
        key = name, char
        if key not in self and (kernel := ahead.ready(self._load, *key)) is not None:
            self[key] = kernel
        return self.get(key)

    def _load(self, name: str, char: str) -> Any:
        dtype, text = np.dtype(char).name, self._text(name)
        names = {
            "dtype": dtype, "size": np.dtype(char).itemsize,
            "vector": f"{dtype}[::1]", "matrix": f"{dtype}[:, ::1]", **self._settings,
        }  # fmt: skip
        return pool.load(name, lambda on_disk: text.format(cache=on_disk, **names))
