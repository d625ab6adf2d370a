"""Nested tuples, lists and dicts of Tensors, flat and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["flatten", "leaves", "map_leaves"]


def leaves(tree: Any) -> list[Any]:
    """What is in the nested structure, from left to right; dicts in their own order."""
    if isinstance(tree, dict):
        return [x for part in tree.values() for x in leaves(part)]
    if isinstance(tree, (tuple, list)):
        return [x for part in tree for x in leaves(part)]
    return [] if tree is None else [tree]


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """The same structure with `function` of everything in it."""
    if isinstance(tree, dict):
        return {key: map_leaves(function, part) for key, part in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(map_leaves(function, part) for part in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(map_leaves(function, part) for part in tree)
    return None if tree is None else function(tree)


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """What is in the structure, and a function that puts such a list into the same structure."""

    def back(values: list[Any]) -> Any:
        remaining: Iterator[Any] = iter(values)
        return map_leaves(lambda _: next(remaining), tree)

    return leaves(tree), back
