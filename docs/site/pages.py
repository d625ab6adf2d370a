"""The pages of the repository (README, docs/, examples/ ...) as pages of the site.

They lie at the same paths as in the repository, so that links from one to another hold; a link to
a file that is not a page leads to that file's page under `source/`.
"""

from __future__ import annotations

import inspect
import posixpath
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import docstrings
import whereabouts
from latex2mathml.converter import convert
from whereabouts import ROOT

PAGES = (
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md", "examples/*.md",
    "examples/data/*.md", "benchmarks/results/*.md",
)  # fmt: skip
PICTURES = ("*.png", "*.gif", "*.svg", "*.webp", "*.jpg", "*.mp4")
FENCE = re.compile(
    r"(^(?P<f>```+|~~~+)[^\n]*\n.*?^(?P=f)[ \t]*$|`+[^`\n]+`+)", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\)|\s+\")")
ATTRIBUTE = re.compile(r"(?<=(?:src|ref|set)=\")([^\"\s]+)(?=\")")
DISPLAY = re.compile(r"^```math\n(.*?)^```$|\$\$(.+?)\$\$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"\$`([^`\n]+)`\$|(?<![\\$\w])\$(?![\s$])([^$\n`]+?)(?<![\s\\])\$(?![\w$])")
TEXT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FROM_DOCSTRINGS = ("docs/optimizers.md", "docs/schedulers.md")
HOME = "---\nhide:\n  - navigation\n---\n\n"  # it would list the page itself
TABLE = re.compile(r"^\| \[([^\]]+)\]\(([^)]+\.md)\) \|", re.MULTILINE)


PICTURE = re.compile(
    r'<picture><source [^>]*srcset="([^"]+)"><img alt="([^"]*)" src="([^"]+)"([^>]*)></picture>'
)


def on_both_papers(text: str) -> str:
    """Pictures as the theme knows them: of each pair it shows the one for the scheme in use."""
    return PICTURE.sub(
        r'<img alt="\2" src="\3#only-light"\4 loading="lazy">'
        r'<img alt="\2" src="\1#only-dark"\4 loading="lazy">',
        text,
    )


def all_pages() -> list[str]:
    """The paths, from the repository's root, of all pages that are written by hand."""
    return [p.relative_to(ROOT).as_posix() for pattern in PAGES for p in sorted(ROOT.glob(pattern))]


def guide() -> list[tuple[str, str]]:
    """(title, path) of the pages in the table of docs/README.md, which orders the guide."""
    found = TABLE.findall((ROOT / "docs/README.md").read_text())
    return [(title, f"docs/{path}") for title, path in found]


class Stage:
    """A folder that mkdocs builds from; it remembers which source files are linked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages = set(all_pages())
        self.sources: set[str] = set()

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def pictures(self) -> None:
        """All pictures of the pages, at their own paths."""
        for folder in ("docs/images", "benchmarks/results"):
            for pattern in PICTURES:
                for picture in (ROOT / folder).rglob(pattern):
                    target = self.folder / picture.relative_to(ROOT)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(picture, target)

    def handwritten(self) -> None:
        for path in sorted(self.pages):
            text = (ROOT / path).read_text()
            if path in FROM_DOCSTRINGS:
                text = TEXT.sub(_docstring, text)
            text = self.rewritten(text, path)
            self.write(path, HOME + text if path == "README.md" else text)

    def rewritten(self, text: str, path: str) -> str:
        """A page with links that hold on the site, and formulas as MathML."""
        text = DISPLAY.sub(lambda f: math(f[1] or f[2], "block"), text)
        parts = FENCE.split(text)
        result = []
        for part in parts[0::3]:
            part = INLINE.sub(lambda f: math(f[1] or f[2], "inline"), on_both_papers(part))
            part = ATTRIBUTE.sub(lambda f: self.target(f[1], path, in_html=True), part)
            result.append(part)
        text = "".join(a + b for a, b in zip(result, [*parts[1::3], ""], strict=True))
        # Links may have code inside their brackets, so that they are not parted from it.
        return _outside_fences(text, lambda t: LINK.sub(lambda f: self.target(f[1], path), t))

    def target(self, link: str, page: str, in_html: bool = False) -> str:
        """Where a link of `page` leads on the site."""
        if re.match(r"[a-z]+:|#", link):
            return link
        name, _, anchor = link.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), name))
        anchor = f"#{anchor}" if anchor else ""
        file = ROOT / path
        if path in self.pages:
            if not in_html:
                return link
            html = re.sub(r"README\.md$", "index.html", name)
            return re.sub(r"\.md$", ".html", html) + anchor
        if file.is_dir():
            readme = posixpath.join(path, "README.md")
            goal = readme if readme in self.pages else f"source/{whereabouts.page(path)}"
        elif file.is_file() and not file.match("images/*") and file.suffix not in (".png", ".gif"):
            goal = f"source/{whereabouts.page(path)}"
        else:
            return link
        if goal.startswith("source/"):
            self.sources.add(path)
        return posixpath.relpath(goal, posixpath.dirname(page) or ".") + anchor


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts = re.split(r"(^```.*?^```[ \t]*$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))


def _docstring(found: re.Match[str]) -> str:
    """A block of text that docs/make_pages.py took from a docstring, as the reference shows it."""
    names = set(re.findall(r"^(\w+) = ", found[1], re.MULTILINE))
    body = docstrings.as_html("x\n\n" + inspect.cleandoc(found[1]), lambda name: "", names)
    body = body.removeprefix('<p class="opening">x</p>')
    return f'<div class="api">{body}\n</div>'


def math(latex: str, display: str) -> str:
    """LaTeX as MathML, which browsers draw themselves."""
    made = convert(latex.strip(), display=display)
    return f'<div class="formula">{made}</div>' if display == "block" else made
