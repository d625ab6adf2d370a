"""Kernels of one text for all types of floats, each compiled when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import pool

__all__ = ["ByType"]


class ByType(dict[tuple[str, str], Any]):
    """Kernels by name and by the character of their type: `kernels["moments", "f"]`.

    `text(name)` is what is compiled; in it stand for the type and its arrays {dtype}, {vector} and
    {matrix}, and {cache} for whether Numba keeps it on disk; `settings` are further such names.
    """

    def __init__(self, text: Callable[[str], str], **settings: Any) -> None:
        super().__init__()
        self._text, self._settings = text, settings

    def __missing__(self, key: tuple[str, str]) -> Any:
        name, char = key
        dtype, text = np.dtype(char).name, self._text(name)
        names = {
            "dtype": dtype, "vector": f"{dtype}[::1]", "matrix": f"{dtype}[:, ::1]",
            **self._settings,
        }  # fmt: skip
        kernel = self[key] = pool.load(name, lambda on_disk: text.format(cache=on_disk, **names))
        return kernel
