"""The pages of the API reference, as Markdown: headings, and HTML between them."""

from __future__ import annotations

import ast
import functools
import html
import inspect
import re
import textwrap
from collections.abc import Iterable
from typing import Any

import docstrings
import highlight
import rooms
import samples
import whereabouts
from rooms import ROOMS, Entry, Room

BY_FILE = {"functions", "functional", "creation", "types", "nn_utils"}
# A word is also searched for as the beginning of others: "Tensor" should find Tensor.
BOOST = {"functions": 4, "tensor": 4, "creation": 3, "tensorboard": 0.5, "inplace": 1}
WIDTH = 86
SHORTER = [
    (r"tinygrad_opt\.(?:\w+\.)*(\w+)", r"\1"), (r"typing\.", ""), (r"collections\.abc\.", ""),
    (r"\b_(Any|int|bool|float)\b", r"\1"), (r"builtins\.", ""), (r"'(\w+)'", r"\1"),
]  # fmt: skip


# Signatures ---------------------------------------------------------------------------------------


def annotation(note: Any) -> str:
    text = note if isinstance(note, str) else inspect.formatannotation(note)
    for pattern, new in SHORTER:
        text = re.sub(pattern, new, text)
    return text


def default(value: Any) -> str:
    text = repr(value)
    return "..." if re.search(r" at 0x|^<", text) else text


def parameters(entry: Entry, owner: type | None) -> tuple[list[str], list[str], str]:
    """(as they are written, their names, the result's type)."""
    value = entry.value
    if not inspect.isclass(value) and hasattr(value, "function"):  # an update rule
        value = value.function
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return [], [], ""
    given = list(signature.parameters.values())
    if owner is not None:
        held = inspect.getattr_static(owner, entry.full.rsplit(".", 1)[-1])
        given = given if isinstance(held, staticmethod) else given[1:]
    written, star = [], False
    for p in given:
        if p.kind is p.VAR_POSITIONAL:
            star = True
        elif p.kind is p.KEYWORD_ONLY and not star:
            star = True
            written.append("*")
        text = str(p.replace(default=p.empty, annotation=p.empty))
        note = "" if p.annotation is p.empty else f": {annotation(p.annotation)}"
        shown = "" if p.default is p.empty else default(p.default)
        behind = f" = {shown}" if shown and note else f"={shown}" if shown else ""
        written.append(text + note + behind)
    result = signature.return_annotation
    result = "" if result is signature.empty or inspect.isclass(entry.value) else annotation(result)
    return written, [p.name for p in given], result


def signature(entry: Entry, owner: type | None) -> tuple[str, list[str]]:
    """How the name is called, over as many lines as it takes; and its parameters."""
    if isinstance(entry.value, property):
        result = getattr(entry.value.fget, "__annotations__", {}).get("return", "Any")
        return entry.short + ("" if result == "Any" else f": {annotation(result)}"), []
    written, names, result = parameters(entry, owner)
    arrow = f" -> {result}" if result and result != "None" else ""
    line = f"{entry.short}({', '.join(written)}){arrow}"
    if len(line) > WIDTH:
        inside = textwrap.fill(
            ",\0".join(w.replace(" ", "\1") for w in written).replace("\0", " "), WIDTH,
            initial_indent="    ", subsequent_indent="    ", break_long_words=False,
            break_on_hyphens=False,
        ).replace("\1", " ")  # fmt: skip
        line = f"{entry.short}(\n{inside},\n){arrow}"
    return line, names


# Links --------------------------------------------------------------------------------------------


class Book:
    """All entries, and where each is told."""

    def __init__(self) -> None:
        self.entries = rooms.entries()
        self.all = {e.full: e for top in self.entries for e in (top, *top.members)}
        self.constants = rooms.constants()
        self.spaces = list(dict.fromkeys(s for room in ROOMS for s in room.spaces.split()))
        self.samples = samples.Samples()

    def href(self, full: str) -> str:
        return f"{self.all[full].room.slug}.html#{full}"

    def link(self, entry: Entry, hidden: Iterable[str]) -> docstrings.Link:
        """A function from a name in a docstring of `entry` to the place that tells it."""
        outer = entry.full.rsplit(".", 1)[0]
        hidden = set(hidden)

        def find(text: str) -> str:
            name = re.sub(r"\(.*\)$", "", text.strip()).removeprefix("torch.")
            if name in hidden or not re.fullmatch(r"[A-Za-z][\w.]*", name):
                return ""
            method = "." in name or text.endswith(")")
            starts = (entry.full, outer) if method or entry.is_member else (outer,)
            for start in (*starts, *self.spaces):
                found = f"{start}.{name}"
                if found in self.all and found != entry.full:
                    return self.href(self.all[found].home)
            return ""

        return find


# Entries ------------------------------------------------------------------------------------------


def text_of(value: Any) -> str:
    own = value.__doc__ if inspect.isclass(value) else inspect.getdoc(value)
    return own or ""


def source(value: Any) -> str:
    path, line = whereabouts.place(value)
    if not path:
        return ""
    target = f"../source/{whereabouts.page(path)}#L{line}"
    return f'<a class="source" data-search-exclude href="{target}">{path}:{line}</a>'


def heading(level: int, entry: Entry) -> str:
    parts = entry.short.split(".")
    short = ".".join(parts[-2:]) if entry.is_member else entry.short
    return f"{'#' * level} `{short}` {{ #{entry.full} }}"


def called(entry: Entry, owner: type | None) -> tuple[str, list[str]]:
    line, names = signature(entry, owner)
    kind = "class " if inspect.isclass(entry.value) else ""
    kind = "property " if isinstance(entry.value, property) else kind
    shown = f'<span class="k">{kind}</span>' if kind else ""
    code = f"<pre><code>{shown}{highlight.python(line)}</code></pre>"
    return f'<div class="signature highlight">{code}{source(entry.value)}</div>', names


def told(book: Book, entry: Entry, owner: type | None = None) -> str:
    """What stands under the heading of a name."""
    same = ""
    if entry.home != entry.full:
        shown = f'<a href="{book.href(entry.home)}"><code>{entry.home}</code></a>'
        same = f'<p class="same">The same as {shown}.</p>'
    call, names = called(entry, owner)
    link = book.link(entry, names)
    text = text_of(entry.value)
    plain = "xor" in entry.full  # there, ^ is not a power
    body = docstrings.as_html(text, link, names, formulas_in=not plain)
    if ">>>" not in text:
        body += book.samples.html(entry, owner)
    return f'<div class="api">\n{call}\n{same}{body}\n</div>'


def inherited(book: Book, entry: Entry) -> str:
    """The members that stand with a base class, folded away, each with its anchor."""
    by_base: dict[str, list[str]] = {}
    for member in entry.members:
        if member.home != member.full:
            base = member.home.rsplit(".", 1)[0]
            name = member.full.rsplit(".", 1)[-1]
            by_base.setdefault(base, []).append(
                f'<a id="{member.full}" href="{book.href(member.home)}">{name}</a>'
            )
    return "\n".join(
        f'<details class="inherited" data-search-exclude><summary>{len(names)} from '
        f"<code>{base.removeprefix('tinygrad_opt.')}</code></summary>"
        f"<p>{', '.join(names)}</p></details>"
        for base, names in by_base.items()
    )


def section(book: Book, entry: Entry, level: int) -> list[str]:
    parts = [heading(level, entry), told(book, entry)]
    own = [m for m in entry.members if m.home == m.full]
    if folded := inherited(book, entry):
        parts.append(folded)
    if entry.full == "tinygrad_opt.Tensor":
        return parts + grouped(book, own, level, entry.value)
    for member in own:
        parts += [heading(level + 1, member), told(book, member, entry.value)]
    return parts


# Pages --------------------------------------------------------------------------------------------


@functools.cache
def title_of(path: str) -> str:
    """What a file says it is, up to the first stop."""
    file = whereabouts.ROOT / path
    if not path or not file.is_file():
        return "Others"
    first = (ast.get_docstring(ast.parse(file.read_text())) or path).split("\n\n")[0]
    first = re.split(r"[.:;](?:\s|$)", " ".join(first.split()))[0]
    return re.sub(r"^Methods of Tensor that ", "What ", first)


def grouped(book: Book, listed: list[Entry], level: int, owner: type | None = None) -> list[str]:
    """Entries under the titles of the files that they stand in."""
    groups: dict[str, list[Entry]] = {}
    for entry in listed:
        groups.setdefault(title_of(whereabouts.place(entry.value)[0]), []).append(entry)
    parts = []
    for title in sorted(groups, key=lambda t: (t == "Others", t)):
        parts.append(f"{'#' * level} {title}")
        for entry in groups[title]:
            if owner is None:
                parts += section(book, entry, level + 1)
            else:
                parts += [heading(level + 1, entry), told(book, entry, owner)]
    return parts


def constants(book: Book) -> list[str]:
    """The table of what is neither function nor class: element types, numbers, layouts."""
    rows = "".join(
        f'<tr><th><code id="tinygrad_opt.{name}">{name}</code></th>'
        f"<td><code>{html.escape(repr(value))}</code></td></tr>"
        for name, value in sorted(book.constants.items(), key=lambda item: item[0].lower())
    )
    text = "Element types, numbers and layouts, as <code>tinygrad_opt.float32</code>."
    return ["## Constants { #constants }",
            f'<div class="api"><p>{text}</p><table class="arguments"><tbody>{rows}</tbody></table>'
            "</div>"]  # fmt: skip


def page(book: Book, room: Room) -> str:
    """One page of the reference."""
    listed = [entry for entry in book.entries if entry.room is room]
    count = sum(1 + sum(m.home == m.full for m in e.members) for e in listed)
    boost = f"---\nsearch:\n  boost: {BOOST.get(room.slug, 2)}\n---"
    parts = [boost, f"# {room.title}", f"{room.about} {count} names.", ""]
    spaces = [s for s in room.spaces.split() if any(in_space(e, s) for e in listed)]
    if room.slug == "tensor":
        listed.sort(key=lambda entry: entry.full != "tinygrad_opt.Tensor")
        first, *more = listed
        parts += [*section(book, first, 2), "## Types beside it"]
        for entry in more:
            parts += section(book, entry, 3)
    elif room.slug in BY_FILE:
        parts += grouped(book, listed, 2)
    elif len(spaces) > 1:
        for space in spaces:
            parts.append(f"## {space.removeprefix('tinygrad_opt.')} {{ #{space} }}")
            for entry in listed:
                if in_space(entry, space):
                    parts += section(book, entry, 3)
    else:
        for entry in listed:
            parts += section(book, entry, 2)
    if room.slug == "types":
        parts += constants(book)
    return "\n\n".join(parts) + "\n"


def in_space(entry: Entry, space: str) -> bool:
    return entry.full.rsplit(".", 1)[0] == space


def index(book: Book) -> str:
    """The first page of the reference: its rooms, and every name from A to Z."""
    parts = ["# Reference", "Every public name: formula, shapes, errors, source and example. The "
             "pages are made from the package when the site is built."]  # fmt: skip
    for part in dict.fromkeys(room.part for room in ROOMS):
        cards = "".join(
            f'<a class="card" href="{room.slug}.html"><b>{room.title}</b>'
            f"<span>{docstrings.inline(room.about, lambda name: '')}</span></a>"
            for room in ROOMS if room.part == part
        )  # fmt: skip
        parts += [f"## {part}", f'<div class="cards" data-search-exclude>{cards}</div>']
    parts.append("## From A to Z")
    letters: dict[str, list[str]] = {}
    for entry in sorted(book.entries, key=lambda e: e.full.rsplit(".", 1)[-1].lower()):
        if entry.home == entry.full:
            name = entry.full.rsplit(".", 1)[-1]
            letters.setdefault(name[0].upper(), []).append(
                f'<a href="{book.href(entry.full)}" title="{entry.short}">{name}</a>'
            )
    listed = "".join(f"<p><b>{k}</b> {' '.join(names)}</p>" for k, names in letters.items())
    parts.append(f'<div class="letters" data-search-exclude>{listed}</div>')
    return "\n\n".join(parts) + "\n"
