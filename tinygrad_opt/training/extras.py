"""What is used only where it is installed and wanted: pictures, progress bars, TensorBoard."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Quiet", "need", "new_axes", "progress"]


def need(module: str, extra: str, who: str) -> Any:
    """The module, imported now. Raises ImportError naming the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(f"{who} needs {package}: pip install 'tinygrad_opt[{extra}]'") from error


def new_axes(who: str, columns: int = 1) -> list[Any]:
    """Axes beside one another in a new figure of matplotlib's."""
    pyplot = need("matplotlib.pyplot", "examples", who)
    size = (1 + 4.5 * columns, 4.0)
    return list(
        pyplot.subplots(1, columns, squeeze=False, figsize=size, layout="constrained")[1][0]
    )


class Quiet:
    """Goes through `items` and says nothing: tqdm where there is nobody to look at it."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def set_postfix(self, values: dict[str, str]) -> None:
        """Shows nothing."""


def progress(items: Iterable[Any], what: str, quiet: bool = False, **options: Any) -> Any:
    """`items` with tqdm's bar; silent if `quiet`, without tqdm, and in a pipe or a file."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return Quiet(items)
    try:
        from tqdm import tqdm
    except ImportError:
        return Quiet(items)
    return tqdm(items, what, **options)
