"""Pictures of graphs: what is in them, and that boxes and edges lie where one can see them."""

import itertools
import random
import xml.etree.ElementTree as ET

import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.autograd import Function
from tinygrad_opt.training import Drawing, draw_graph
from tinygrad_opt.training.graph_picture.layout import place


@pytest.fixture(autouse=True)
def no_graphviz(monkeypatch):
    """The layout of our own, whatever is installed."""
    monkeypatch.setattr("shutil.which", lambda name: None)


def titles(drawing):
    return [box.title for box in drawing.boxes]


def links(drawing):
    names = titles(drawing)
    return {(names[a], names[b]) for a, b in drawing.edges}


def test_a_network():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    loss = nn.functional.mse_loss(model(tg.ones(5, 3)), tg.ones(5, 2))
    drawing = draw_graph(loss, model)
    assert type(drawing) is Drawing
    kinds = {box.title: (box.kind, box.detail) for box in drawing.boxes}
    assert kinds["0.weight"] == ("parameter", "(4, 3)")
    assert kinds["2.bias"] == ("parameter", "(2)")
    assert kinds["tanh"] == ("operation", "(5, 4)")
    assert kinds["data"][0] == "data"
    assert drawing.boxes[0][::2] == ("result", "scalar")
    assert {("0.weight", "linear"), ("linear", "tanh"), ("tanh", "linear")} <= links(drawing)
    assert titles(drawing).count("linear") == 2
    assert (
        repr(drawing) == f"<Drawing of {len(drawing.boxes)} boxes and {len(drawing.edges)} edges>"
    )


def test_the_language_of_graphviz():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    assert draw_graph((w * w).sum(), {'a "w"': w}).dot.splitlines() == [
        "digraph {",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica"]',
        '  n0 [label="sum\\nscalar", fillcolor="#fbe3c8"]',
        '  n1 [label="mul\\n(2)", fillcolor="#ffffff"]',
        '  n2 [label="a \\"w\\"\\n(2)", fillcolor="#d6e6f4"]',
        "  n1 -> n0",
        "  n2 -> n1",
        "}",
    ]


def test_names_from_pairs_and_without():
    w, x = tg.ones(2, requires_grad=True), tg.ones(2)
    y = (w * x).sum()
    assert set(titles(draw_graph(y, [("w", w), ("x", x)]))) == {"w", "x", "mul", "sum"}
    assert set(titles(draw_graph(y))) == {"leaf", "data", "mul", "sum"}
    assert titles(draw_graph(w, {"w": w})) == ["w"]


def test_a_function_with_several_outputs_is_one_box():
    class Split(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, a, b):
            return 2 * a + 3 * b

    w = tg.ones(2, requires_grad=True)
    a, b = Split.apply(w)
    drawing = draw_graph((a * b).sum(), {"w": w})
    assert sorted(titles(drawing)) == ["Split", "mul", "sum", "w"]
    assert links(drawing) == {("w", "Split"), ("Split", "mul"), ("mul", "sum")}


def test_writes_in_place_are_drawn():
    w = tg.ones(2, requires_grad=True)
    y = w * 1
    y[0] = 5.0
    y.mul_(w)
    assert links(draw_graph(y.sum(), {"w": w})) >= {("mul", "CopySlices"), ("CopySlices", "mul")}


def test_what_cannot_be_drawn():
    w = tg.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="draw_graph: this tensor was not recorded"):
        draw_graph(tg.ones(2) * 2)
    loss = (w * w).sum()
    draw_graph(loss)
    with pytest.raises(TypeError, match=r"draw_graph: loss must be a Tensor, got float"):
        draw_graph(loss.item())
    with pytest.raises(TypeError, match=r"got str; for a file, draw_graph\(loss\).save"):
        draw_graph(loss, "graph.svg")
    with pytest.raises(TypeError, match=r"or pairs \(name, tensor\), got list"):
        draw_graph(loss, [w])
    loss.backward()
    with pytest.raises(RuntimeError, match="SumBackward0 was freed by a backward pass; draw"):
        draw_graph(loss)


def test_files(tmp_path):
    w = tg.ones(2, requires_grad=True)
    drawing = draw_graph(w.sum(), {"w": w})
    assert drawing.save(tmp_path / "a.svg").read_text() == drawing.svg == drawing._repr_svg_()
    assert drawing.save(tmp_path / "a.dot").read_text() == drawing.dot
    with pytest.raises(ValueError, match=r"a.png must end in .svg or .dot"):
        drawing.save(tmp_path / "a.png")
    assert tg.draw_graph is draw_graph


def test_graphviz_lays_out_where_it_is_installed(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "made with $1 of"\ncat\n')
    program.chmod(0o700)
    w = tg.ones(2, requires_grad=True)
    drawing = draw_graph(w.sum(), {"w": w})
    own = drawing.svg
    monkeypatch.setattr("shutil.which", lambda name: str(tmp_path / name))
    assert drawing.svg == f"made with -Tsvg of\n{drawing.dot}"
    assert drawing.save(tmp_path / "a.png").read_text().startswith("made with -Tpng of")
    program.write_text("#!/bin/sh\nexit 1\n")  # a broken one
    assert drawing.svg == own
    with pytest.raises(ValueError, match=r"a.png must end in .svg or .dot, or in .png or .pdf wh"):
        drawing.save(tmp_path / "a.png")


def test_the_picture_shows_every_box_inside_it():
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    drawing = draw_graph(model(tg.randn(2, 3, 8)).sum(), model)
    root = ET.fromstring(drawing.svg)
    space = "{http://www.w3.org/2000/svg}"
    width, height = float(root.get("width")), float(root.get("height"))
    group = root.find(f"{space}g")
    shift = float(group.get("transform").removeprefix("translate(").split()[0])
    texts = [text.text for text in group.iter(f"{space}text")]
    assert texts == [line for box in drawing.boxes for line in (box.title, box.detail)]
    rects = [[float(r.get(k)) for k in ("x", "y", "width", "height")] for r in group.iter(
        f"{space}rect"
    )]  # fmt: skip
    for x, y, w, h in rects:
        assert x + shift >= 0
        assert x + shift + w <= width
        assert y + h <= height
    for (ax, ay, aw, ah), (bx, by, bw, bh) in itertools.combinations(rects, 2):
        assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay
    assert len(list(group.iter(f"{space}path"))) == len(drawing.edges)


def test_names_are_escaped():
    w = tg.ones(2, requires_grad=True)
    texts = ET.fromstring(draw_graph(w.sum(), {"<a & b>": w}).svg).itertext()
    assert "<a & b>" in list(texts)


def test_deep_graphs():
    w = tg.tensor(0.5, requires_grad=True)
    y = w * 2
    for _ in range(1500):
        y = y.tanh()
    drawing = draw_graph(y)
    assert len(drawing.boxes) == 1502
    assert drawing.svg.count("<rect") == 1503


@pytest.mark.parametrize("seed", range(15))
def test_layouts_of_random_graphs(seed):
    rng = random.Random(seed)
    count = rng.randint(1, 25)
    edges = [(a, b) for a in range(count) for b in range(a + 1, count) if rng.random() < 0.15]
    widths = [rng.uniform(20, 120) for _ in range(count)]
    layout = place(widths, edges, gap=10.0)
    for (a, b), way in zip(edges, layout.ways, strict=True):
        assert layout.layer[a] < layout.layer[b]
        assert [layer for _, layer in way] == list(range(layout.layer[a] + 1, layout.layer[b]))
    things = [(layer, x, w) for x, layer, w in zip(layout.x, layout.layer, widths, strict=True)]
    things += [(layer, x, 0.0) for way in layout.ways for x, layer in way]
    for (row, x, w), (other, x2, w2) in itertools.combinations(things, 2):
        if row == other:  # nothing overlaps, no edge runs through a box
            assert abs(x - x2) >= (w + w2) / 2 + 10 - 1e-9


def test_edges_that_need_not_cross_do_not():
    # Two columns, given crosswise: 0 -> 3, 1 -> 2.
    layout = place([10.0] * 4, [(0, 3), (1, 2)])
    assert (layout.x[0] < layout.x[1]) == (layout.x[3] < layout.x[2])
    assert layout.x[0] == pytest.approx(layout.x[3])
