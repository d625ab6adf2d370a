"""Syntax trees of texts, in threads as well."""

from __future__ import annotations

import ast
from typing import Any

__all__ = ["tree_of"]

_TRIES = 20


def tree_of(text: str, file: str = "<unknown>", mode: str = "exec", flags: int = 0) -> Any:
    """What `ast.parse` gives: the tree of a module or, in mode "eval", of an expression.

    CPython 3.11 counts how deep in a tree it is for all threads together. Where garbage is
    collected in the middle, and another thread takes over that makes a tree as well, it takes the
    count for an error of its own, a SystemError: nothing is wrong with the text, nor will be the
    next time.
    """
    for _ in range(_TRIES):
        try:
            return compile(text, file, mode, flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        except SystemError as error:
            problem = error
    raise problem
