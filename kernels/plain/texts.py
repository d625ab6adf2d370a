"""The texts of functions, as Python's own parser reads them."""

from __future__ import annotations

import ast
import inspect
from typing import Any

__all__ = ["assigned", "parsed"]

_texts: dict[str, dict[str, ast.FunctionDef]] = {}  # of the file at work


def parsed(function: Any) -> ast.FunctionDef:
    """The definition of a function, out of its file, which is parsed once."""
    file = function.__code__.co_filename
    if file not in _texts:
        _texts.clear()
        lines, _ = inspect.findsource(function)
        tree = ast.parse("".join(lines))
        _texts[file] = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    return _texts[file][function.__name__]


def assigned(definition: ast.FunctionDef) -> list[ast.Name]:
    """The names to which something is assigned in a function, wherever they stand."""
    names = (node for node in ast.walk(definition) if isinstance(node, ast.Name))
    return [name for name in names if isinstance(name.ctx, ast.Store)]
