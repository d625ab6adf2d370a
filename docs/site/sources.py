"""The source files as pages with numbered lines, for the links of the reference.

mkdocs makes one page, with the theme around a mark; this writes the others from it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path

import highlight
import whereabouts
from whereabouts import ROOT

MARK, TITLE = "the-text-of-the-file", "The title of the file"
TEMPLATE = f"""---
search:
  exclude: true
hide:
  - navigation
  - toc
---

# {TITLE}

<div class="listing">{MARK}</div>
"""
FOLDERS = ("tinygrad_opt", "kernels", "examples")


def files() -> set[str]:
    """The paths of all source files that pages may link to."""
    found = set()
    for folder in FOLDERS:
        found |= set((ROOT / folder).rglob("*.py"))
    inside = (p.relative_to(ROOT).as_posix() for p in found)
    return {p for p in inside if not p.startswith("tinygrad_opt/kernels/")}


def stage(folder: Path, paths: Iterable[str]) -> None:
    """Empty pages, that mkdocs knows what links lead to, and the one with the mark."""
    (folder / "source").mkdir(parents=True, exist_ok=True)
    (folder / "source/page.md").write_text(TEMPLATE)
    for path in paths:
        (folder / "source" / whereabouts.page(path)).touch()


def listing(path: str) -> str:
    """A file with numbered lines; a folder as its files."""
    file = ROOT / path
    if file.is_dir():
        inside = sorted(p.name for p in file.iterdir() if not p.name.startswith((".", "__pyc")))
        return "<ul>" + "".join(f"<li><code>{html.escape(n)}</code></li>" for n in inside) + "</ul>"
    text = file.read_text()
    shown = highlight.python(text) if file.suffix == ".py" else html.escape(text, quote=False)
    lines = "\n".join(
        f'<a id="L{i}" href="#L{i}" class="n">{i}</a>{line}'
        for i, line in enumerate(shown.rstrip("\n").split("\n"), 1)
    )
    return f'<div class="highlight"><pre><code>{lines}\n</code></pre></div>'


def write(site: Path, paths: Iterable[str]) -> None:
    """Write the pages over the empty ones in the built site."""
    template = site / "source/page.html"
    page = template.read_text()
    template.unlink()
    before, behind = page.split(MARK)
    for path in paths:
        head = before.replace(TITLE, html.escape(path))
        (site / "source" / whereabouts.page(path)).write_text(head + listing(path) + behind)
