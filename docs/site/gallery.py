"""The gallery: each example with its picture, what it teaches, and its source."""

from __future__ import annotations

import ast
import html
import re

import docstrings
import highlight
from whereabouts import ROOT

ROW = re.compile(
    r"^\| \[(\w+\.py)\]\([^)]+\) \| (.*?) \| (?:!\[[^\]]*\]\(([^)]+)\))? ?\|$", re.MULTILINE
)


def examples() -> list[tuple[str, str, str]]:
    """(file, what it shows, path of its picture or "") from the table of examples/README.md."""
    found = ROW.findall((ROOT / "examples/README.md").read_text())
    return [(name, told, picture.removeprefix("../")) for name, told, picture in found]


def plain(markdown: str) -> str:
    """Text without links: it stands inside one."""
    return docstrings.inline(re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", markdown), lambda name: "")


def overview() -> str:
    cards = []
    for name, told, picture in examples():
        shown = f'<img src="../{picture}" alt="" loading="lazy">' if picture else (
            '<span class="none">no picture: it prints</span>')  # fmt: skip
        cards.append(
            f'<a class="card picture" href="{name.removesuffix(".py")}.html">{shown}'
            f"<b>{name}</b><span>{plain(told)}</span></a>"
        )
    return (
        "# Gallery\n\nEach example is a lesson of one file that runs in seconds to minutes; its "
        "page has its source.\n\n"
        f'<div class="cards">{"".join(cards)}</div>\n'
    )


def page(name: str, told: str, picture: str) -> str:
    """The page of one example."""
    source = (ROOT / "examples" / name).read_text()
    lesson = ast.get_docstring(ast.parse(source)) or ""
    image = (
        f'<p class="wide"><img src="../{picture}" alt="{html.escape(name)}"></p>' if picture else ""
    )
    return "\n\n".join([
        f"# {name}", f'<div class="api"><p class="opening">{plain(told)}</p>{image}',
        docstrings.as_html(lesson, lambda name: ""),
        f'<div data-search-exclude>{highlight.block(source)}</div></div>\n',
    ])  # fmt: skip
