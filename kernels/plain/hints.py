"""What LLVM is told beyond the instructions: liberties with arithmetic, and of inner loops."""

# mypy: ignore-errors
from __future__ import annotations

import ast
from typing import Any

from llvmlite import ir

from ..compiler import within

__all__ = ["LIBERTIES", "inner_loop", "take_liberties"]

LIBERTIES = ("contract", "nsz", "reassoc")


def take_liberties(function: Any) -> None:
    """Let LLVM compute faster than IEEE's rules would allow, with the same NaN and infinities."""
    within.take_liberties(function, LIBERTIES)


class _Inner:
    """What LLVM is told of an inner loop, so that it makes SIMD code of rows of any length.

    Unrolled before it is looked at, a loop of 20 rounds would be 20 times the code of one number.
    Of a parallel loop it need not find out whether one round reads what another writes.
    """

    def __init__(self, module: Any, parallel: bool) -> None:
        said = [module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])]
        self.group = within.Distinct(module) if parallel else None
        if parallel:
            word = ir.MetaDataString(module, "llvm.loop.parallel_accesses")
            said.append(module.add_metadata([word, self.group]))
        self.loop = within.Distinct(module, said, itself=True)


def inner_loop(module: Any, loop: Any) -> _Inner | None:
    """What is said of a loop of the text; None where it holds other loops or branches."""
    nodes = (n for statement in loop.body for n in ast.walk(statement))
    if any(isinstance(n, (ast.For, ast.If)) for n in nodes):
        return None
    return _Inner(module, _is_parallel(loop))


def _is_parallel(loop: Any) -> bool:
    """Whether each round of an inner loop writes to elements of its own.

    What is read under another name than it is written is somewhere else, or the same element: so
    memory is planned.
    """
    places: dict[str, set[str]] = {}  # of each pointer, the indices
    written = []
    for node in (n for statement in loop.body for n in ast.walk(statement)):
        if isinstance(node, ast.Subscript):
            places.setdefault(ast.dump(node.value), set()).add(ast.dump(node.slice))
            if isinstance(node.ctx, ast.Store):
                written.append(node)
    return all(
        len(places[ast.dump(n.value)]) == 1 and _moves_along(n.slice, loop.target.id)
        for n in written
    )


def _moves_along(index: Any, j: str) -> bool:
    """Whether an index is another one in each round: j, j * 3, j + i * 4."""
    if isinstance(index, ast.Name):
        return index.id == j
    if isinstance(index, ast.BinOp) and isinstance(index.op, ast.Add):
        sides = [s for s in (index.left, index.right) if _speaks_of(s, j)]
        return len(sides) == 1 and _moves_along(sides[0], j)
    if isinstance(index, ast.BinOp) and isinstance(index.op, ast.Mult):
        factor = getattr(index.right, "value", 0)
        return isinstance(factor, int) and factor != 0 and _moves_along(index.left, j)
    return False


def _speaks_of(node: Any, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))
