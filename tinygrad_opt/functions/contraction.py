"""Einstein's summation: sums of products of tensors, spelled with a letter for each axis.

The operands are joined two at a time. A pair is one product of matrices: axes that both have and
the result keeps are the batch, axes that vanish here are summed, and the rest are rows and columns.
All steps are operations with derivatives of any order, so this file needs none of its own.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from typing import Any

from .. import ops
from ..arrays.size import WHOLE
from ..core.half import widened
from ..core.refusals import check_tensor
from ..core.tensor import Tensor

__all__ = ["einsum"]

Shapes = tuple[tuple[int, ...], ...]
Labels = list[Any]  # letters, and ("...", i) for the i-th axis of an ellipsis, counted from its end


@widened
def einsum(*args: Any) -> Tensor:
    """The sum of products that an equation spells: `einsum("ij,jk->ik", a, b)` is a @ b.

    Each operand has a letter for each axis; axes of the same letter run together, and those that
    the result lacks are summed. Without `->` the result has the letters that occur once, in
    alphabetical order. `...` stands for axes that broadcast. Also `einsum(a, [0, 1], b, [1, 2],
    [0, 2])`, with numbers from 0 to 51 for letters and Ellipsis.
    Raises RuntimeError for an equation that is not one, or does not fit the operands.
    """
    if not args or (isinstance(args[0], str) and len(args) < 2):
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one "
            "operand and its subscripts list"
        )
    if isinstance(args[0], str):
        equation, operands = args[0], list(args[1:])
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = list(operands[0])
    else:
        equation, operands = _equation(args)
    for operand in operands:
        check_tensor("einsum", "operands", operand)
    terms, output, sizes = _read(equation, tuple([x.array.shape for x in operands]))
    joined = [_without_repeats(x, labels, sizes) for x, labels in zip(operands, terms, strict=True)]
    while len(joined) > 1:
        (x, a), (y, b), *rest = joined
        wanted = set(output).union(*(labels for _, labels in rest))
        joined = [_join(x, a, y, b, wanted), *rest]
    return _arranged(*joined[0], output, sizes)


# Reading the equation -----------------------------------------------------------------------------


def _equation(args: tuple[Any, ...]) -> tuple[str, list[Tensor]]:
    """The equation for operands that alternate with lists of numbers."""
    operands, terms = list(args[: len(args) // 2 * 2 : 2]), list(args[1::2])

    def letters(numbers: Any) -> str:
        text = ""
        for number in numbers:
            if number is Ellipsis:
                text += "..."
            elif isinstance(number, WHOLE) and 0 <= number < 52:
                text += chr(ord("A") + number) if number < 26 else chr(ord("a") + number - 26)
            else:
                raise ValueError(
                    f"einsum(): expected subscripts to be integers in [0, 52), got {number!r}"
                )
        return text

    equation = ",".join(map(letters, terms))
    if len(args) % 2:
        equation += "->" + letters(args[-1])
    return equation, operands


@functools.lru_cache(maxsize=256)
def _read(equation: str, shapes: Shapes) -> tuple[list[Labels], Labels, dict[Any, int]]:
    """The labels of each operand and of the result, and their sizes: nobody changes these."""
    terms, output = _parse(equation, shapes)
    return terms, output, _sizes(terms, shapes)


def _parse(equation: str, shapes: Shapes) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the result."""
    text = equation.replace(" ", "")
    bad = re.search(r"[^a-zA-Z.,\->]", equation.replace(" ", "a"))
    if bad:
        raise RuntimeError(
            f"einsum(): invalid subscript given at index {bad.start()} in the equation string "
            f"{equation!r}, subscripts must be in [a-zA-Z]"
        )
    left, arrow, right = text.partition("->")
    if "-" in left + right or ">" in left + right:
        raise RuntimeError(f"einsum(): found a '-' or '>' outside of the arrow in {equation!r}")
    inputs = left.split(",")
    if len(inputs) != len(shapes):
        fewer = "fewer" if len(shapes) < len(inputs) else "more"
        raise RuntimeError(
            f"einsum(): {fewer} operands were provided than specified in the equation {equation!r}"
        )
    terms = [
        _labels(term, len(x), i) for i, (term, x) in enumerate(zip(inputs, shapes, strict=True))
    ]
    if arrow:
        dots = max((label[1] for term in terms for label in term if _is_dot(label)), default=-1) + 1
        return terms, _output(right, dots, terms)
    counts = Counter(label for term in terms for label in term)
    dotted = sorted((label for label in counts if _is_dot(label)), key=lambda label: -label[1])
    once = sorted(label for label, n in counts.items() if not _is_dot(label) and n == 1)
    return terms, [*dotted, *once]


def _is_dot(label: Any) -> bool:
    return isinstance(label, tuple)


def _split(term: str, what: str) -> tuple[str, str | None]:
    """The letters before an ellipsis and, if there is one, those after it."""
    before, dots, after = term.partition("...")
    if "." in before + after:
        raise RuntimeError(f"einsum(): found '.' for {what} that is not part of any ellipsis")
    return before, after if dots else None


def _labels(term: str, ndim: int, number: int) -> Labels:
    before, after = _split(term, f"operand {number}")
    letters = len(before) + len(after or "")
    if letters > ndim or (after is None and letters != ndim):
        more = "is more than" if after is not None else "does not match"
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({letters}) {more} the number of "
            f"dimensions ({ndim}) for operand {number}"
            + ("" if after is not None else " and no ellipsis was given")
        )
    return [*before, *(("...", i) for i in reversed(range(ndim - letters))), *(after or "")]


def _output(term: str, dots: int, terms: list[Labels]) -> Labels:
    before, after = _split(term, "the output")
    ellipsis = [] if after is None else [("...", i) for i in reversed(range(dots))]
    seen = {label for labels in terms for label in labels}
    letters = before + (after or "")
    for letter in letters:
        if letters.count(letter) > 1:
            raise RuntimeError(
                f"einsum(): output subscript {letter} appears more than once in the output"
            )
        if letter not in seen:
            raise RuntimeError(
                f"einsum(): output subscript {letter} does not appear in the equation for any "
                "input operand"
            )
    return [*before, *ellipsis, *(after or "")]


def _sizes(terms: list[Labels], shapes: Shapes) -> dict[Any, int]:
    """The length of the axis of each label; lengths of 1 broadcast."""
    sizes: dict[Any, int] = {}
    for number, (labels, shape) in enumerate(zip(terms, shapes, strict=True)):
        own: dict[Any, int] = {}
        for label, n in zip(labels, shape, strict=True):
            if own.setdefault(label, n) != n:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {number} but the sizes "
                    f"don't match, {n} != {own[label]}"
                )
            known = sizes.get(label, 1)
            if n != known and 1 not in (n, known):
                name = f"subscript {label}" if not _is_dot(label) else "a dimension of the ellipsis"
                raise RuntimeError(
                    f"einsum(): {name} has size {n} for operand {number} which does not broadcast "
                    f"with previously seen size {known}"
                )
            sizes[label] = known if n == 1 else n
    return sizes


# Computing ----------------------------------------------------------------------------------------


def _without_repeats(x: Tensor, labels: Labels, sizes: dict[Any, int]) -> tuple[Tensor, Labels]:
    """The diagonal of axes that share a label; and without axes of length 1 that broadcast."""
    twice = len(set(labels)) < len(labels)
    for label in [label for label, n in Counter(labels).items() if n > 1] if twice else ():
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = ops.diagonal(x, offset=0, axis1=first, axis2=second)
            labels = [other for i, other in enumerate(labels) if i not in (first, second)]
            labels.append(label)
    shape = x.array.shape
    narrow = [n == 1 != sizes[label] for label, n in zip(labels, shape, strict=True)]
    if any(narrow):
        x = ops.reshape(
            x, shape=tuple(n for n, drop in zip(shape, narrow, strict=True) if not drop)
        )
        labels = [label for label, drop in zip(labels, narrow, strict=True) if not drop]
    return x, labels


def _join(x: Tensor, a: Labels, y: Tensor, b: Labels, wanted: set[Any]) -> tuple[Tensor, Labels]:
    """The product of two operands, summed over what neither the result nor the rest wants."""
    x, a = _summed(x, a, wanted | set(b))
    y, b = _summed(y, b, wanted | set(a))
    batch = [label for label in a if label in b and label in wanted]
    inner = [label for label in a if label in b and label not in wanted]
    rows = [label for label in a if label not in b]
    columns = [label for label in b if label not in a]
    if not inner:  # nothing to sum: a product element by element
        x = _grouped(x, a, [[label] for label in batch + rows] + [[]] * len(columns))
        y = _grouped(y, b, [[label] for label in batch] + [[]] * len(rows) + [[c] for c in columns])
        return x * y, batch + rows + columns
    ours, theirs = x.array.shape, y.array.shape
    shape = [ours[a.index(label)] for label in batch + rows]
    shape += [theirs[b.index(label)] for label in columns]
    x = _grouped(x, a, [[label] for label in batch] + [rows, inner])
    y = _grouped(y, b, [[label] for label in batch] + [inner, columns])
    z = ops.matmul(x, y)
    if z.array.shape != tuple(shape):
        z = ops.reshape(z, shape=tuple(shape))
    return z, batch + rows + columns


def _summed(x: Tensor, labels: Labels, wanted: set[Any]) -> tuple[Tensor, Labels]:
    axes = tuple(i for i, label in enumerate(labels) if label not in wanted)
    if not axes:
        return x, labels
    return ops.sum(x, axis=axes), [label for label in labels if label in wanted]


def _grouped(x: Tensor, labels: Labels, groups: list[Labels]) -> Tensor:
    """Transposed, and with each group of labels joined to one axis (of length 1, if empty)."""
    order = [labels.index(label) for group in groups for label in group]
    if order != list(range(len(labels))):
        x = ops.transpose(x, axes=tuple(order))
    if len(groups) == len(labels) and all(groups):
        return x
    lengths = iter(x.array.shape)
    shape = tuple([math.prod([next(lengths) for _ in group]) for group in groups])
    return x if shape == x.array.shape else ops.reshape(x, shape=shape)


def _arranged(x: Tensor, labels: Labels, output: Labels, sizes: dict[Any, int]) -> Tensor:
    """Summed, transposed and broadcast to the labels of the result."""
    x, labels = _summed(x, labels, set(output))
    x = _grouped(x, labels, [[label] if label in labels else [] for label in output])
    shape = tuple([sizes[label] for label in output])
    return x if shape == x.array.shape else ops.broadcast_to(x, shape=shape)
