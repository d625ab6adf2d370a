"""`draw_graph`: the recorded graph behind a tensor, as DOT and as SVG."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...autograd import recorded_writes
from ...autograd.function_nodes import FunctionNode, Select
from ...core.node import Node, Variable
from ...core.tensor import Tensor
from ...nn.module import Module
from .svg import as_svg

__all__ = ["Box", "Drawing", "draw_graph"]

_COLORS = {"parameter": "#d6e6f4", "data": "#e9ecef", "operation": "#ffffff", "result": "#fbe3c8"}
_MORE = (".png", ".pdf")  # of which Graphviz alone makes pictures


class Box(NamedTuple):
    """Something in the picture: what it is ("parameter", "operation", ...), and its two lines."""

    kind: str
    title: str
    detail: str

    @property
    def color(self) -> str:
        """How it is filled."""
        return _COLORS[self.kind]


class Drawing:
    """A graph to look at: a notebook shows it, `save` writes it.

    boxes: each operation, leaf and piece of data.  edges: pairs of places in `boxes`, from what is
    made first to what is made of it.
    """

    def __init__(self, boxes: list[Box], edges: list[tuple[int, int]]) -> None:
        self.boxes, self.edges = boxes, edges

    @property
    def dot(self) -> str:
        """The graph in the language of Graphviz."""
        lines = ["digraph {", '  node [shape=box, style="rounded,filled", fontname="Helvetica"]']
        for i, box in enumerate(self.boxes):
            label = "\\n".join(_escaped(text) for text in (box.title, box.detail) if text)
            lines.append(f'  n{i} [label="{label}", fillcolor="{box.color}"]')
        lines += [f"  n{a} -> n{b}" for a, b in self.edges]
        return "\n".join([*lines, "}\n"])

    @property
    def svg(self) -> str:
        """The picture, for a browser: Graphviz lays it out where it is installed (`dot`)."""
        drawn = _by_graphviz(self.dot, "svg")
        return as_svg(self.boxes, self.edges) if drawn is None else drawn.decode()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the picture to a file ending in .svg, or the text to one ending in .dot.

        Where Graphviz is installed also to .png and .pdf. Raises ValueError for another ending.
        """
        file = Path(path)
        if file.suffix == ".dot":
            made: bytes | None = self.dot.encode()
        elif file.suffix == ".svg":
            made = self.svg.encode()
        else:
            made = _by_graphviz(self.dot, file.suffix[1:]) if file.suffix in _MORE else None
        if made is None:
            raise ValueError(
                f"Drawing.save: {file.name} must end in .svg or .dot, or in .png or .pdf where "
                "Graphviz is installed"
            )
        file.write_bytes(made)
        return file

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Drawing of {len(self.boxes)} boxes and {len(self.edges)} edges>"


def _by_graphviz(dot: str, kind: str) -> bytes | None:
    """The picture as Graphviz lays it out; None where it is not installed, or fails."""
    program = shutil.which("dot")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, f"-T{kind}"], input=dot.encode(), capture_output=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):  # an installation without that format, say
        return None
    return done.stdout


def draw_graph(loss: Tensor, params: Any = None) -> Drawing:
    """Draws the operations that `loss` was made of: their names, shapes, and leaves by name.

    loss: any recorded tensor, before its backward frees the graph.
    params: for the names: a Module, a dict, or pairs (name, tensor). Leaves without one are called
    "leaf", tensors that need no gradient "data".
    Raises ValueError for a tensor that was not recorded, RuntimeError for a freed graph, TypeError
    for anything else.

    >>> x, w = tensor([1.0, 2.0]), tensor([3.0, 4.0], requires_grad=True)
    >>> drawing = draw_graph((w * x).sum(), {"w": w})
    >>> [box.title for box in drawing.boxes]
    ['sum', 'mul', 'w', 'data']
    >>> drawing.edges
    [(1, 0), (2, 1), (3, 1)]
    """
    if not isinstance(loss, Variable):
        raise TypeError(f"draw_graph: loss must be a Tensor, got {type(loss).__name__}")
    if not loss.requires_grad:
        raise ValueError(
            "draw_graph: this tensor was not recorded: it requires no gradient. Nothing it is made "
            "of does, or it was made under no_grad()"
        )
    if recorded_writes.rebound:
        recorded_writes.resolve([loss])
    names = {id(x): name for name, x in _named(params)}
    places: dict[int, int] = {}
    boxes: list[Box] = []
    edges: list[tuple[int, int]] = []
    held: list[Any] = [loss]  # so that no id is used twice
    waiting: list[tuple[Any, int | None]] = [(loss, None)]
    while waiting:
        x, consumer = waiting.pop()
        key = _maker(x) or x
        place = places.setdefault(id(key), len(boxes))
        if consumer is not None:
            edges.append((place, consumer))
        if place == len(boxes):
            boxes.append(_box(x, names, result=consumer is None))
            held.append(key)
            waiting += [(part, place) for part in reversed(_made_of(key))]
    return Drawing(boxes, list(dict.fromkeys(edges)))


def _named(params: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(params, Module):
        return [*params.named_parameters(), *params.named_buffers()]
    pairs = list(params.items() if isinstance(params, Mapping) else params or ())
    if isinstance(params, str | os.PathLike) or any(
        not isinstance(pair, tuple | list) or len(pair) != 2 for pair in pairs
    ):
        raise TypeError(
            "draw_graph: params are a Module, a dict, or pairs (name, tensor), got "
            f"{type(params).__name__}; for a file, draw_graph(loss).save('graph.svg')"
        )
    return pairs


def _maker(x: Any) -> Node | None:
    """The Node that made x; the outputs of a Function come from one."""
    return x.node.function if isinstance(x.node, Select) else x.node


def _made_of(key: Any) -> list[Any]:
    """The Tensors that a Node was given; none for a leaf."""
    if not isinstance(key, Node):
        return []
    if not key.output:
        raise RuntimeError(
            f"draw_graph: {key.name()} was freed by a backward pass; draw the graph before it, or "
            "pass retain_graph=True to it"
        )
    if isinstance(key, FunctionNode):  # its arguments stand behind a Node of their own
        return [x for x in key.targets[0].node.targets if x is not None]
    return list(_inputs(key))


def _inputs(node: Node) -> Iterator[Any]:
    for i, x in enumerate(node.targets):
        given = node.inputs[i] if i < len(node.inputs) else None
        if x is not None:
            yield x
        elif isinstance(given, Variable):
            yield given


def _box(x: Any, names: dict[int, str], result: bool) -> Box:
    shape = f"({', '.join(map(str, x.shape))})" if x.shape else "scalar"
    node = _maker(x)
    if node is not None:
        title = node.op.__name__.strip("_")
        return Box("result" if result else "operation", title, shape)
    kind = "parameter" if x.requires_grad else "data"
    return Box(kind, names.get(id(x), "leaf" if x.requires_grad else "data"), shape)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
