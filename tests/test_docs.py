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
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]


def blocks():
    for name in PAGES:
        for i, code in enumerate(BLOCK.findall((ROOT / name).read_text())):
            yield pytest.param(code, id=f"{name}-{i}")


@pytest.mark.parametrize("code", list(blocks()))
def test_code_blocks_run(code, tmp_path):
    # In a file: an update rule is made of its source text.
    script = tmp_path / "block.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for expected in re.findall(r"print\(.*\)  # (.*)", code):
        assert expected in done.stdout


def test_the_pages_have_their_examples():
    assert len(list(blocks())) >= 12


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


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
    results = doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


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
