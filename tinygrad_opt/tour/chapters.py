"""The chapters: what `chapters/*.md` hold."""

from __future__ import annotations

import functools
import re
from importlib import resources
from typing import NamedTuple

__all__ = ["Chapter", "chapter", "chapters"]

_STUB = re.compile(r"^```py\n(.*?)^```\n?", re.MULTILINE | re.DOTALL)
_ANSWERS = "## Answers\n"


class Chapter(NamedTuple):
    """One chapter.

    Attributes:
        number: 1, 2, ...
        slug: names its exercise and its check, as "graph".
        title: its heading.
        files: which files it reads, as links say them.
        text: markdown, of all but heading, exercise file and answers.
        stub: the exercise as it is laid.
        answers: markdown, of what it asks on the way.
    """

    number: int
    slug: str
    title: str
    files: tuple[str, ...]
    text: str
    stub: str
    answers: str

    @property
    def exercise(self) -> str:
        """The name of the exercise's file."""
        return f"{self.number:02}_{self.slug}.py"


@functools.cache
def chapters() -> tuple[Chapter, ...]:
    """All of them, in order."""
    folder = resources.files(__package__) / "chapters"
    found = sorted(path.name for path in folder.iterdir() if path.name.endswith(".md"))
    return tuple(_read(name, (folder / name).read_text(encoding="utf-8")) for name in found)


def chapter(number: str | int) -> Chapter:
    """The chapter of that number. Raises ValueError where there is none."""
    known = chapters()
    if not str(number).isdecimal() or not 1 <= int(number) <= len(known):
        raise ValueError(f"tour: chapters are 1 to {len(known)}, got {number!r}")
    return known[int(number) - 1]


def _read(name: str, markdown: str) -> Chapter:
    number, _, slug = name.removesuffix(".md").partition("_")
    heading, _, rest = markdown.partition("\n")
    text, _, answers = rest.partition(_ANSWERS)
    (stub,) = _STUB.findall(text)
    (told,) = re.findall(r"^Read: (.*)$", text, re.MULTILINE)
    files = tuple(re.findall(r"\]\((?:\.\./)?([^)]+)\)", told))
    text = _STUB.sub("", text).strip() + "\n"
    return Chapter(int(number), slug, heading.lstrip("# "), files, text, stub, answers.strip())
