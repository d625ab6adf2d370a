"""The texts of functions, as Python's own parser reads them."""

from __future__ import annotations

import ast
import inspect
from typing import Any

from ..compiler.trees import tree_of

__all__ = ["assigned", "parsed"]

_texts: dict[str, dict[tuple[str, int], ast.FunctionDef]] = {}  # of the file at work


def parsed(function: Any) -> ast.FunctionDef:
    """The definition of a function, out of its file, which is parsed once."""
    file = function.__code__.co_filename
    if file not in _texts:
        _texts.clear()
        lines, _ = inspect.findsource(function)
        tree = tree_of("".join(lines))
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        _texts[file] = {(node.name, _first_line(node)): node for node in functions}
    return _texts[file][function.__name__, function.__code__.co_firstlineno]


def _first_line(node: ast.FunctionDef) -> int:
    """Where Python has a function begin: at its decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def assigned(definition: ast.FunctionDef) -> list[ast.Name]:
    """The names to which something is assigned in a function, wherever they stand."""
    names = (node for node in ast.walk(definition) if isinstance(node, ast.Name))
    return [name for name in names if isinstance(name.ctx, ast.Store)]
