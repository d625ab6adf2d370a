"""How the source is laid out: a path to read it by, imports that only go down, no circles."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_opt

ROOT = Path(__file__).parents[1]

# The mini-framework, in the order in which it is read. README and CONTRIBUTING say the same.
READING_PATH = [
    "tinygrad_opt/arrays/xp.py",
    "tinygrad_opt/core/node.py",
    "tinygrad_opt/core/tensor.py",
    "tinygrad_opt/core/record.py",
    "tinygrad_opt/core/backward.py",
    "tinygrad_opt/ops/arithmetic.py",
    "tinygrad_opt/ops/products.py",
    "tinygrad_opt/tensors/methods.py",
    "tinygrad_opt/nn/module.py",
    "tinygrad_opt/nn/linear.py",
    "tinygrad_opt/optim/optimizer.py",
    "tinygrad_opt/optim/flat.py",
]
THEN = ["kernels/rule.py", "kernels/adam.py"]
LONGEST = 1700

# From the ground up; what stands on one line may import from that line and from those above it.
FLOORS = [
    ["kernels", "_checkout", "_pause", "_rooms", "optional"],
    ["arrays"],
    ["core"],
    ["ops"],
    ["functions", "autograd"],
    ["tensors", "func"],
    ["nn", "data", "serialization", "distributions"],
    ["optim"],
    ["training", "compiled", "accelerator", "amp", "backends", "distributed", "hub",
     "jit", "mps", "multiprocessing", "onnx", "porting", "testing", "types", "version"],
    ["playground"],
    ["commands", "tour"],
]  # fmt: skip


def modules():
    """{name: (path, whether it is a package)} of all modules; `kernels/` as it is installed."""
    found = {}
    for folder, name in (("tinygrad_opt", "tinygrad_opt"), ("kernels", "tinygrad_opt.kernels")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            relative = path.relative_to(ROOT / folder)
            if folder == "tinygrad_opt" and relative.parts[0] == "kernels":
                continue  # the link
            parts = [name, *relative.with_suffix("").parts]
            package = parts[-1] == "__init__"
            found[".".join(parts[:-1] if package else parts)] = (path, package)
    return found


MODULES = modules()


def imports_of(name, text=None):
    """The modules that a module imports, in functions and under TYPE_CHECKING as well."""
    path, package = MODULES[name]
    imported = set()
    for node in ast.walk(ast.parse(path.read_text() if text is None else text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            here = name.split(".") if package else name.split(".")[:-1]
            start = here[: len(here) - node.level + 1] if node.level else []
            source = ".".join([*start, *(node.module.split(".") if node.module else [])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            imported |= {n if n in MODULES else source for n in names}
    return (imported & MODULES.keys()) - {name}


GRAPH = {name: imports_of(name) for name in MODULES}


def test_imports_are_read_wherever_they_stand():
    text = (
        "def f():\n    from .tensor import Tensor\nif TYPE_CHECKING:\n    from ..ops import add\n"
    )
    found = imports_of("tinygrad_opt.core.node", text)
    assert found == {"tinygrad_opt.core.tensor", "tinygrad_opt.ops"}


def circle(graph):
    """A list of modules each of which imports the next, the last the first; [] if there is none."""
    done = set()

    def visit(name, path):
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        for imported in sorted(graph[name]):
            found = visit(imported, [*path, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := visit(name, []))), [])


def test_no_circle():
    assert circle(GRAPH) == []


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_files_ask_their_package_for_files_alone():
    """Its names are made of theirs: while a file is loaded, they may not be there (`_rooms.py`)."""
    asked = []
    for name, (path, package) in MODULES.items():
        here = name.split(".") if package else name.split(".")[:-1]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level and not node.module:
                source = ".".join(here[: len(here) - node.level + 1])
                names = [f"{source}.{alias.name}" for alias in node.names]
                asked += [f"{name} -> {n}" for n in names if n not in MODULES and "." in source]
    assert asked == []


@pytest.mark.parametrize("floor", range(len(FLOORS)), ids=lambda i: FLOORS[i][0])
def test_imports_go_down(floor):
    above = {f"tinygrad_opt.{room}" for rooms in FLOORS[floor + 1 :] for room in rooms}
    upwards = [
        f"{name} -> {imported}"
        for name, imports in GRAPH.items()
        if ".".join(name.split(".")[:2]) in {f"tinygrad_opt.{room}" for room in FLOORS[floor]}
        for imported in imports
        if ".".join(imported.split(".")[:2]) in above
    ]
    assert upwards == []


def test_every_room_has_a_floor():
    """All but the faces: modules at the top that only hand names on."""
    rooms = {name.split(".")[1] for name in MODULES if "." in name}
    placed = {room for floor in FLOORS for room in floor}
    assert placed <= rooms
    places = {"__config__", "__main__", "sklearn", "utils", "cuda", "linalg", "special", "fft"}
    for room in rooms - placed - places:
        path, _ = MODULES[f"tinygrad_opt.{room}"]
        tree = ast.parse(path.read_text())
        rest = [n for n in tree.body if not isinstance(n, ast.Expr | ast.ImportFrom)]
        assert all(ast.unparse(n).startswith("__all__ = [") for n in rest), room


def test_the_reading_path_is_short():
    lines = {path: len((ROOT / path).read_text().splitlines()) for path in READING_PATH}
    assert sum(lines.values()) <= LONGEST, lines


@pytest.mark.parametrize("i", range(len(READING_PATH) - 1), ids=lambda i: READING_PATH[i])
def test_each_file_opens_with_what_comes_next(i):
    head = ast.get_docstring(ast.parse((ROOT / READING_PATH[i]).read_text()))
    following = "/".join(Path(READING_PATH[i + 1]).parts[-2:])
    assert re.search(rf"next:? `({re.escape(following)}|{Path(following).name})`", head), head


@pytest.mark.parametrize("page", ["README.md"])
def test_the_path_is_told(page):
    text = (ROOT / page).read_text()
    places = [text.find(f"]({path})") for path in [*READING_PATH, *THEN]]
    assert -1 not in places
    assert places == sorted(places)


# Names that stand elsewhere -----------------------------------------------------------------------


def test_faces_are_there_without_an_import_of_their_own():
    faces = "t.backend.xp, t.random.seed, t.sparse.SparseTensor, t.utils.data, t.utils.checkpoint"
    code = f"import tinygrad_opt as t; {faces}, t.optim.rmsprop.RMSprop"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name",
    ["Adadelta", "Adagrad", "Adam", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD"],
)
def test_pytorchs_places_of_optimizers(name):
    module = importlib.import_module(f"tinygrad_opt.optim.{name.lower()}")
    assert getattr(module, name) is getattr(tinygrad_opt.optim, name)


def test_what_few_scripts_need_is_loaded_late():
    late = "distributions", "fft", "special", "utils.tensorboard"
    code = (
        "import sys, tinygrad_opt as t\n"
        f"late = {late}\n"
        "print([n for n in late if f'tinygrad_opt.{n}' in sys.modules])\n"
        "t.distributions.Normal, t.fft.rfft, t.special.expit, t.utils.tensorboard.SummaryWriter\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("[]\n", "")
