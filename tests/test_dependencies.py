"""What pyproject.toml declares is what files import, and the oldest versions are those tested."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import tinygrad_opt

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]

# Where a module has another name than what one installs.
INSTALLED_AS = {"PIL": "pillow", "sklearn": "scikit-learn", "cupyx": "cupy", "mpi4py": "mpi4py",
                "tensorboardX": "tensorboardx"}  # fmt: skip
# What another one brings, in the only version that goes with it.
BROUGHT_BY = {"llvmlite": "numba", "cuda": "numba-cuda", "numba_cuda": "numba-cuda"}
BROUGHT_BY |= dict.fromkeys(("bokeh", "param", "tornado"), "panel")
BROUGHT_BY |= dict.fromkeys(("mkdocs", "material", "markdown", "pygments"), "mkdocs-material")
BROUGHT_BY |= {"fontTools": "ziamath", "ziafont": "ziamath"}

# Folder: the extras that its files may lean on, beside the dependencies.
FOLDERS = {
    "tinygrad_opt": (
        "cuda",
        "examples",
        "sklearn",
        "tensorboard",
        "onnx",
        "mpi",
        "ptx",
        "playground",
    ),
    "kernels": ("cuda", "ptx"),
    "examples": ("examples", "sweeps", "peers"),
    "docs": ("examples", "site"),
    "benchmarks": ("cuda", "examples", "mpi", "sweeps", "peers"),
    "notebooks": ("test-notebooks",),
    "tests": (
        "cuda",
        "test",
        "test-browser",
        "test-kernels",
        "test-mpi",
        "test-notebooks",
        "test-site",
        "peers",
    ),
}
# Our own that finds a module where it is installed, and their like.
FINDERS = ("import_module", "importorskip", "need")


def names(requirements):
    """The distributions of a list of requirements, those of its extras of ours among them."""
    for requirement in requirements:
        name, extras = re.match(r"([\w.-]+)(?:\[([^]]*)\])?", requirement).groups()
        if name == PROJECT["name"]:
            for extra in extras.split(","):
                yield from names(EXTRAS[extra])
        else:
            yield re.sub(r"-cuda\d+x$", "", name.lower())


def nodes(text):
    """The nodes of a file that may import: expressions only where a finder is called."""
    calls = re.search(rf"\b({'|'.join(FINDERS)})\(", text) is not None
    found = [ast.parse(text)]
    for node in found:
        found += [n for n in ast.iter_child_nodes(node) if calls or not isinstance(n, ast.expr)]
    return found


def imported(file):
    """The first parts of the names of all modules that a file imports, or asks for by name."""
    for node in nodes(file.read_text()):
        found = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found = [node.module]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            found = [node.args[0].value] if called in FINDERS else []
        yield from (str(name).partition(".")[0] for name in found)


def strangers(folder):
    """The distributions that a folder's files import: {name: a file that does}."""
    own = {"tinygrad_opt", "benchmarks"}
    if folder not in ("tinygrad_opt", "kernels"):  # these find their neighbours by their names
        for part in ("examples", "docs", folder):
            own |= {path.stem for path in (ROOT / part).rglob("*.py")}
            own |= {path.parent.name for path in (ROOT / part).rglob("*.py")}
    found = {}
    for file in (ROOT / folder).rglob("*.py"):
        for module in set(imported(file)) - own - sys.stdlib_module_names - {""}:
            name = BROUGHT_BY.get(module, INSTALLED_AS.get(module, module))
            found[name.replace("_", "-").lower()] = file.relative_to(ROOT).as_posix()
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_is_imported_is_declared(folder):
    declared = set(names(PROJECT["dependencies"]))
    for extra in FOLDERS[folder]:
        declared |= set(names(EXTRAS[extra]))
    found = strangers(folder)
    assert found, "no file was read"
    assert {name: file for name, file in found.items() if name not in declared} == {}


def test_the_package_alone_needs_its_dependencies_alone():
    assert set(names(PROJECT["dependencies"])) == {"numpy", "numba", "safetensors"}
    assert {"numpy", "numba"} <= set(strangers("kernels"))


def test_the_oldest_versions_that_are_tested_are_those_declared():
    oldest = dict(
        re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / ".ci" / "oldest.txt").read_text(), re.M)
    )
    bounds = dict(
        re.match(r"([\w-]+)>=([\d.]+)", requirement).groups()
        for requirement in (*PROJECT["dependencies"], EXTRAS["ptx"][0])
    )
    assert {name: version.removesuffix(".0") for name, version in oldest.items()} == bounds
    ci = (ROOT / ".ci" / "run").read_text()
    assert ".ci/oldest.txt" in ci


def test_the_citation_is_of_this_version():
    told = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {tinygrad_opt.__version__}\n" in told
    assert f"\ntitle: {PROJECT['name']}\n" in told
    assert f"\nlicense: {PROJECT['license']}\n" in told
