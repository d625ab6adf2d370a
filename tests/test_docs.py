"""What the documents show, runs: their code blocks, and the examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_opt

ROOT = Path(__file__).parents[1]
# A block, and the text that may follow: what it prints, word for word but for "...", in any lines.
BLOCK = re.compile(
    r"^```python\n(.*?)^```\n(?:\n?^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
ERROR = re.compile(r"^[\w.]+(Error|Exception|Warning): ", re.MULTILINE)  # it ends with one
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]


def blocks(name):
    return BLOCK.findall((ROOT / name).read_text())


@pytest.fixture(scope="module")
def runner():
    command = [sys.executable, "-W", "error", ROOT / "tests" / "run_blocks.py"]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with subprocess.Popen(command, **pipes) as process:
        yield process
        process.stdin.close()


@pytest.mark.parametrize("name", [name for name in PAGES if blocks(name)])
def test_code_blocks_run(name, runner, tmp_path):
    for i, (code, expected) in enumerate(blocks(name)):
        script = tmp_path / f"block{i}.py"  # in a file: an update rule is made of its source text
        script.write_text(code)
        print(script, file=runner.stdin, flush=True)
        status = int(runner.stdout.readline())
        printed, told = (script.with_suffix(s).read_text() for s in (".txt", ".err"))
        assert status == bool(ERROR.search(expected)), f"{code}\n{told}"
        for line in re.findall(r"print\(.*\)  # (.*)", code):
            assert line in printed, code
        same = doctest.OutputChecker().check_output(expected, printed, LENIENT)
        if expected and not same:
            pytest.fail(f"{code}\nprinted\n{printed}\nand not\n{expected}", pytrace=False)


def test_the_pages_have_their_examples():
    assert sum(len(blocks(name)) for name in PAGES) >= 80


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    targets = re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", prose(page))
    targets += [(file, "") for file in re.findall(r'\bsrc(?:set)?="([^"]+)"', prose(page))]
    for target, anchor in targets:
        if "://" not in target:
            there = page.parent / target if target else page
            assert there.exists(), target
            assert not anchor or anchor in anchors(there), f"{target}#{anchor}"


def prose(page):
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """What links call the headings of a page: GitHub's names, and the site's."""
    titles = re.findall(r"^#+ (.*)", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def missing_in_table(table, pages):
    """Pages that no row of the table names: the site's guide is made of it."""
    return sorted(
        set(pages) - set(re.findall(r"^\| \[[^\]]+\]\(([^)]+)\) \|", table, re.MULTILINE))
    )


def test_every_page_stands_in_the_table_that_orders_the_guide():
    pages = {page.name for page in ROOT.glob("docs/*.md")} - {"README.md"}
    assert missing_in_table((ROOT / "docs" / "README.md").read_text(), pages) == []
    assert missing_in_table("| [A](a.md) | x |\n[b](b.md)", ["a.md", "b.md"]) == ["b.md"]


def test_generated_pages_say_what_the_docstrings_say():
    make = [sys.executable, ROOT / "docs" / "make_pages.py", "--check"]
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def modules():
    for package in (tinygrad_opt, tinygrad_opt.kernels):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            yield info.name


@pytest.mark.parametrize("name", sorted({"tinygrad_opt", *modules()}))
def test_docstring_examples(name):
    module = importlib.import_module(name)
    tinygrad_opt.manual_seed(0)
    names = {"tensor": tinygrad_opt.tensor, "zeros": tinygrad_opt.zeros}
    tests = doctest.DocTestFinder().find(module, extraglobs=names)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    # To run one without examples takes as long: it asks for the state of all files that are known.
    assert [test.name for test in tests if test.examples and runner.run(test).failed] == []


def public_classes():
    from tinygrad_opt import nn, optim

    for module in (optim, optim.textbook, optim.lr_scheduler, nn):
        for name in module.__all__:
            thing = getattr(module, name)
            if isinstance(thing, type):
                yield pytest.param(thing, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize("thing", list(public_classes()))
def test_public_classes_are_documented(thing):
    assert thing.__doc__
    assert thing.__doc__.strip()
