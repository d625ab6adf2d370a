"""Placing the boxes of a graph in layers, as Sugiyama, Tagawa and Toda (1981) do.

Four steps: a layer for each box, bends where an edge crosses a layer, an order within each layer
that crosses few edges, and places that keep edges straight.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import mul

__all__ = ["Layout", "place"]

Edges = Sequence[tuple[int, int]]


class Layout:
    """Where everything goes: the center of each box, and the way of each edge from top to bottom.

    x, layer: of each box, in pixels and counted from the top.  ways: for each edge its bends, as
    (x, layer), between the two boxes.
    """

    def __init__(
        self, x: list[float], layer: list[int], ways: list[list[tuple[float, int]]]
    ) -> None:
        self.x, self.layer, self.ways = x, layer, ways


def place(widths: Sequence[float], edges: Edges, gap: float = 24.0, rounds: int = 12) -> Layout:
    """Lays out boxes of these widths; edges run from a box to one further down, without cycles."""
    layer = _layers(len(widths), edges)
    widths, layer = list(widths), list(layer)
    count = len(widths)
    bends: list[list[int]] = []
    links: list[tuple[int, int]] = []  # from layer to layer: edges cut up at their bends
    for a, b in edges:
        chain = [a]
        for between in range(layer[a] + 1, layer[b]):
            chain.append(len(widths))
            widths.append(0.0)
            layer.append(between)
        chain.append(b)
        bends.append(chain[1:-1])
        links += pairwise(chain)
    above: list[list[int]] = [[] for _ in widths]
    below: list[list[int]] = [[] for _ in widths]
    for a, b in links:
        above[b].append(a)
        below[a].append(b)
    rows = _ordered(layer, above, below, rounds)
    x = _placed(rows, widths, above, below, gap, rounds)
    ways = [[(x[i], layer[i]) for i in chain] for chain in bends]
    return Layout(x[:count], layer[:count], ways)


def _layers(count: int, edges: Edges) -> list[int]:
    """The longest way from the top to each box; those with nothing above go as low as they can."""
    below: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for a, b in edges:
        below[a].append(b)
        missing[b] += 1
    sources = [i for i in range(count) if not missing[i]]
    layer = [0] * count
    ready = list(sources)
    while ready:
        a = ready.pop()
        for b in below[a]:
            layer[b] = max(layer[b], layer[a] + 1)
            missing[b] -= 1
            if not missing[b]:
                ready.append(b)
    for i in sources:
        if below[i]:
            layer[i] = min(layer[b] for b in below[i]) - 1
    return layer


def _ordered(
    layer: list[int], above: list[list[int]], below: list[list[int]], rounds: int
) -> list[list[int]]:
    """The boxes of each layer from left to right: each near the mean of its neighbours."""
    rows: list[list[int]] = [[] for _ in range(max(layer) + 1)]
    for i in _walk(above, layer):
        rows[layer[i]].append(i)
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for turn in range(rounds):
        down = turn % 2 == 0
        near = above if down else below
        for fixed, row in pairwise(rows if down else rows[::-1]):
            order = {i: float(n) for n, i in enumerate(fixed)}
            here = {i: float(n) for n, i in enumerate(row)}
            own = {
                i: _mean([order[j] for j in near[i]], here[i], [1.0] * len(near[i])) for i in row
            }
            row.sort(key=own.__getitem__)
        crossings = _crossings(rows, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _walk(above: list[list[int]], layer: list[int]) -> list[int]:
    """All boxes, the lowest first, each followed by what is above it: neighbours stay together."""
    seen: dict[int, None] = {}
    for start in sorted(range(len(layer)), key=lambda i: -layer[i]):
        stack = [start]
        while stack:
            i = stack.pop()
            if i not in seen:
                seen[i] = None
                stack.extend(reversed(above[i]))
    return list(seen)


def _crossings(rows: list[list[int]], below: list[list[int]]) -> int:
    """How many pairs of links cross."""
    total = 0
    for upper, lower in pairwise(rows):
        order = {i: n for n, i in enumerate(lower)}
        ends = [n for i in upper for n in sorted(order[j] for j in below[i])]
        total += sum(a > b for k, b in enumerate(ends) for a in ends[:k])
    return total


def _placed(
    rows: list[list[int]], widths: list[float], above: list[list[int]], below: list[list[int]],
    gap: float, rounds: int,
) -> list[float]:  # fmt: skip
    """The x of each: near its neighbours above and below by turns, in the given order.

    Boxes with nothing above, the leaves, have little say: so that what is computed stays in line.
    """
    x = [0.0] * len(widths)
    weights = [1.0 if up else 0.05 for up in above]
    for turn in range(rounds):
        near = below if turn % 2 == 0 else above
        for row in reversed(rows) if near is below else rows:
            wanted = [_mean([x[j] for j in near[i]], x[i], [weights[j] for j in near[i]])
                      for i in row]  # fmt: skip
            _spread(row, wanted, x, widths, weights, gap)
    return x


def _spread(
    row: list[int], wanted: list[float], x: list[float], widths: list[float],
    weights: list[float], gap: float,
) -> None:  # fmt: skip
    """Set x of a row as near to `wanted` as order and widths allow: least squares, in one pass.

    Neighbours that would overlap are merged into a block, which moves to the mean of its wishes.
    """
    offsets = [0.0]
    for a, b in pairwise(row):
        offsets.append(offsets[-1] + (widths[a] + widths[b]) / 2 + gap)
    blocks: list[tuple[float, float, int]] = []  # (start, weight, how many boxes)
    for i, wish, offset in zip(row, wanted, offsets, strict=True):
        start, weight, count = wish - offset, weights[i], 1
        while blocks and blocks[-1][0] > start:
            other, heavy, more = blocks.pop()
            start = (start * weight + other * heavy) / (weight + heavy)
            weight, count = weight + heavy, count + more
        blocks.append((start, weight, count))
    starts = [start for start, _, count in blocks for _ in range(count)]
    for i, start, offset in zip(row, starts, offsets, strict=True):
        x[i] = start + offset


def _mean(values: list[float], otherwise: float, weights: list[float]) -> float:
    total = sum(weights)
    return sum(map(mul, values, weights)) / total if total else otherwise
