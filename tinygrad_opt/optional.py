"""What is used only where it is installed and wanted: pictures, TensorBoard."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["need", "new_axes"]


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
