"""Builds the documentation site: python docs/site [--out FOLDER]    (make site does this).

Pages are gathered in a folder beside the site, those of the reference made from the package; then
mkdocs builds them, and the source files are written as pages. The site needs no network, and no
server either: `index.html` opens as a file.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import gallery
import pages
import reference
import sources
from mkdocs.commands.build import build
from mkdocs.config import load_config
from rooms import ROOMS
from whereabouts import ROOT

HERE = Path(__file__).parent
OUT = ROOT / "build" / "site"
FONT = "STIXTwoMath-Regular.ttf"  # under the SIL Open Font License, which comes along


def navigation() -> list[dict[str, Any]]:
    """The guide in the order of docs/README.md, the gallery, the reference by parts."""
    parts: dict[str, list[Any]] = {}
    for room in ROOMS:
        parts.setdefault(room.part, []).append({room.title: f"reference/{room.slug}.md"})
    names = [gallery.name_of(path) for path, _, _ in gallery.examples()]
    examples = [{name: f"gallery/{name[:-3]}.md"} for name in names]
    results = [p for p in pages.all_pages() if p.startswith("benchmarks/")]
    return [
        {"Home": "README.md"},
        {"Guide": ["docs/README.md", *({title: path} for title, path in pages.guide())]},
        {"Gallery": ["gallery/index.md", *examples]},
        {"Reference": ["reference/index.md", *({part: rooms} for part, rooms in parts.items())]},
        {"Project": [
            {"Changes": "CHANGELOG.md"}, {"Contributing": "CONTRIBUTING.md"},
            {"Examples": "examples/README.md"}, {"Data of the examples": "examples/data/README.md"},
            {"Measured": results},
        ]},
    ]  # fmt: skip


def gather(folder: Path) -> set[str]:
    """Write all that mkdocs builds from; return the source files that are to be pages."""
    shutil.rmtree(folder, ignore_errors=True)
    stage = pages.Stage(folder)
    stage.pictures()
    stage.handwritten()
    book = reference.Book()
    for room in ROOMS:
        stage.write(f"reference/{room.slug}.md", reference.page(book, room))
    stage.write("reference/index.md", reference.index(book))
    stage.write("gallery/index.md", gallery.overview())
    for path, told, pictures in gallery.examples():
        name = gallery.name_of(path)
        stage.write(f"gallery/{name[:-3]}.md", gallery.page(path, told, pictures))
    for asset in ("style.css", "iframe-worker.js", "exact-search.js"):
        stage.write(f"assets/{asset}", (HERE / asset).read_text())
    fonts = resources.files("ziamath") / "fonts"
    (folder / "assets" / FONT).write_bytes((fonts / FONT).read_bytes())
    paths = sources.files() | stage.sources
    sources.stage(folder, paths)
    return paths


def run_mkdocs(folder: Path, out: Path, nav: list[dict[str, Any]]) -> None:
    """Build the pages of a folder; raise mkdocs' error for whatever it warns of."""
    config = load_config(
        str(HERE / "mkdocs.yml"), docs_dir=str(folder), site_dir=str(out), nav=nav, strict=True
    )
    config.plugins.on_startup(command="build", dirty=False)
    build(config)


def make(out: Path) -> None:
    """Gather the pages, build them, and write those of the source files."""
    folder = out.with_name(out.name + "-pages")
    paths = gather(folder)
    run_mkdocs(folder, out, navigation())
    sources.write(out, paths)
    for file in (*out.glob("sitemap.xml*"), out / "404.html"):  # for a site that has an address
        file.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT, help="where the site is written")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    make(asked.out.resolve())
    count = sum(1 for _ in asked.out.rglob("*.html"))
    print(f"{asked.out}/index.html: {count} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
