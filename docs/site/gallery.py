"""The gallery: each example with its picture, what it teaches, and its source."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath

import docstrings
import highlight
import pages
from whereabouts import ROOT

ROW = re.compile(r"^\| \[(\w+\.py)\]\(([^)]+)\) \| (.*?) \| (.*?) ?\|$", re.MULTILINE)


def examples() -> list[tuple[str, str, str]]:
    """(path of the file, what it shows, HTML of its pictures) from the table of examples/README.md.

    The path counts from the examples' folder.
    """
    found = ROW.findall((ROOT / "examples/README.md").read_text())
    return [(path, told, pages.on_both_papers(pictures)) for _, path, told, pictures in found]


def name_of(path: str) -> str:
    return PurePosixPath(path).name


def plain(markdown: str) -> str:
    """Text without links: it stands inside one."""
    return docstrings.inline(re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", markdown), lambda name: "")


def overview() -> str:
    cards = []
    for path, told, pictures in examples():
        name = name_of(path)
        first = "".join(re.findall(r"<img[^>]*>", pictures)[:2])  # on light paper, and on dark
        shown = first or '<span class="none">no picture: it prints</span>'
        cards.append(
            f'<a class="card picture" href="{name.removesuffix(".py")}.html">{shown}'
            f"<b>{name}</b><span>{plain(told)}</span></a>"
        )
    return (
        "# Gallery\n\nEach example is a lesson of one file that runs in seconds to minutes; its "
        "page has its source.\n\n"
        f'<div class="cards">{"".join(cards)}</div>\n'
    )


def page(path: str, told: str, pictures: str) -> str:
    """The page of one example."""
    source = (ROOT / "examples" / path).read_text()
    lesson = ast.get_docstring(ast.parse(source)) or ""
    wide = re.sub(r' width="\d+"', "", pictures)
    image = f'<p class="wide">{wide}</p>' if wide else ""
    return "\n\n".join([
        f"# {name_of(path)}", f'<div class="api"><p class="opening">{plain(told)}</p>{image}',
        docstrings.as_html(lesson, lambda name: ""),
        f'<div data-search-exclude>{highlight.block(source)}</div></div>\n',
    ])  # fmt: skip
