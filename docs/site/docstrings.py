"""Docstrings of the house as HTML: sentence, formulas, arguments, errors, source, examples.

The convention stands in tests/test_documented.py and in what the package does: arguments are lines
of a name, two spaces and what it is; formulas are lines of plain text; examples begin with `>>>`.
"""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Callable, Collection

import formulas
import highlight

Link = Callable[[str], str]  # from a name in backticks to the place that tells it, or ""

ARGUMENT = re.compile(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*)  +(\S.*)")
SETTING = re.compile(r"(\w+) = ((?:\([^)]*\)|'[^']*'|[^:\s])+): (\S.*)")
COMMAND = re.compile(r"(?:python|pip|make) \S")
PIECES = re.compile(r";\s+|\s{2,}|, (?=then:?\s)")
LABELS = {"Raises": "Raises", "Source:": "Source", "Differs": "Differs", "Returns": "Returns",
          "state:": "State", "Example:": "Example"}  # fmt: skip
LABELLED = re.compile(
    r"(?:^|(?<=[.:)] )|(?<=[.:)]  ))(?=(?:Raises |Source: |Differs from |Returns |state: ))"
)
ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5}(?:v\d+)?)")
MARKS = re.compile(r"``?([^`]+?)``?|(https?://[^\s<>),]*[\w/])")


def inline(text: str, link: Link) -> str:
    """A line of prose: code between backticks, with links to the names that it is."""

    def code(found: re.Match[str]) -> str:
        if found[2]:
            return f'<a href="{html.escape(found[2])}">{html.escape(found[2])}</a>'
        target = link(found[1])
        shown = f"<code>{html.escape(found[1])}</code>"
        return f'<a href="{target}">{shown}</a>' if target else shown

    parts, end = [], 0
    for found in MARKS.finditer(text):
        parts += [html.escape(text[end : found.start()], quote=False), code(found)]
        end = found.end()
    parts.append(html.escape(text[end:], quote=False))
    return ARXIV.sub(r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>', "".join(parts))


def formula_line(line: str, link: Link) -> str:
    """A line of formulas, parted by `;` or two spaces, with their conditions; "" if it is prose."""
    pieces = [piece for piece in PIECES.split(line.strip().rstrip(".;")) if piece]
    made = [formulas.mathml(piece.rstrip(",:")) for piece in pieces]
    prose_first = (
        len(made) > 1 and bool(made[-1]) and (pieces[0].endswith(":") or made.count("") == 1)
    )
    if not made[0] and not prose_first:
        return ""
    if not any("=" in p or "->" in p for p, m in zip(pieces, made, strict=True) if m):
        return ""
    shown = [m or f'<span class="when">{inline(p, link)}</span>'
             for p, m in zip(pieces, made, strict=True)]  # fmt: skip
    return f'<div class="formula" data-text="{html.escape(line.strip())}">{"".join(shown)}</div>'


def with_condition(line: str, link: Link) -> str:
    """A formula and the words behind it: "f(t) = end_factor from then on"; "" if it is none."""
    words = line.split()
    for end in range(len(words) - 1, 2, -1):
        head, rest = " ".join(words[:end]), " ".join(words[end:])
        if "=" in head and (made := formulas.mathml(head.rstrip(",;:"))):
            return (
                f'<div class="formula">{made}<span class="when">{inline(rest, link)}</span></div>'
            )
    return ""


def opening(sentence: str, link: Link) -> str:
    """The first paragraph; a formula where it begins with one: "y = x W^T + b."."""
    several = " ".join(line.strip() for line in sentence.splitlines())
    if ";" in several and (made := formula_line(several, link)):
        return made
    sentence = " ".join(sentence.split())
    for end in (r"[.;:](?=\s|$)", r",(?=\s)"):
        for found in re.finditer(end, sentence):
            head, rest = sentence[: found.start()], sentence[found.start() :]
            made = formulas.mathml(head)
            if made:
                rest = rest.strip() if rest.strip() != "." else ""
                return f'<p class="opening">{made}{inline(rest, link)}</p>'
    return f'<p class="opening">{inline(sentence, link)}</p>'


def prose(lines: list[str], link: Link) -> list[str]:
    """Lines of prose as paragraphs; errors, sources and differences get a label."""
    made = []
    text = " ".join(line.strip() for line in lines)
    for part in LABELLED.split(text):
        word = part.split(" ", 1)[0]
        if word not in LABELS:
            made += [f"<p>{inline(part.strip(), link)}</p>"] if part.strip() else []
            continue
        told, rest = part, ""
        if word in ("Raises", "Returns"):  # the sentence; what comes behind is prose again
            end = re.search(r"(?<![.\s][A-Za-z])\.\s+(?=[A-Z`])", part)
            told, rest = (part[: end.start() + 1], part[end.end() :]) if end else (part, "")
        body = told.removeprefix(word).strip() if word.endswith(":") else told.strip()
        body = body.removeprefix(word).strip() if word in ("Raises", "Returns") else body
        label = LABELS[word]
        made.append(f'<p class="told {label.lower()}"><b>{label}</b> {inline(body, link)}</p>')
        made += [f"<p>{inline(rest.strip(), link)}</p>"] if rest.strip() else []
    return made


def arguments(rows: list[tuple[str, str, str]], link: Link) -> str:
    cells = []
    for name, default, told in rows:
        shown = ", ".join(f"<code>{html.escape(part)}</code>" for part in name.split(", "))
        behind = f' <span class="default">= {html.escape(default)}</span>' if default else ""
        cells.append(f"<tr><th>{shown}{behind}</th><td>{inline(told, link)}</td></tr>")
    return f'<table class="arguments"><tbody>{"".join(cells)}</tbody></table>'


def example(lines: list[str]) -> str:
    text = "\n".join(re.sub(r"\s*# doctest:.*", "", line) for line in lines)
    return f'<div class="example">{highlight.block(text, "pycon")}</div>'


class Page:
    """Reads the lines of one docstring; what belongs together leaves as one block."""

    def __init__(self, link: Link, parameters: Collection[str]) -> None:
        self.link, self.parameters = link, parameters
        self.made: list[str] = []
        self.lines: list[str] = []
        self.rows: list[tuple[str, str, str]] = []

    def flush(self) -> None:
        if self.rows:
            self.made.append(arguments(self.rows, self.link))
        if self.lines:
            self.made += prose(self.lines, self.link)
        self.rows, self.lines = [], []

    def paragraph(self, lines: list[str]) -> None:
        if lines[0].lstrip().startswith(">>>"):
            self.made.append(example(inspect.cleandoc("\n".join(lines)).splitlines()))
            return
        indented = all(line.startswith("    ") for line in lines)
        lines = inspect.cleandoc("\n".join(lines)).splitlines()
        for line in lines:
            if line.lstrip().startswith(">>>") and not indented:
                self.flush()
                self.paragraph(lines[lines.index(line) :])
                return
            self.line(line, indented)
        self.flush()

    def line(self, line: str, indented: bool) -> None:
        argument, setting = ARGUMENT.fullmatch(line), SETTING.fullmatch(line)
        if self.rows and line.startswith("  "):
            name, default, told = self.rows[-1]
            self.rows[-1] = name, default, f"{told} {line.strip()}"
        elif setting and setting[1] in self.parameters:
            self.row(setting[1], setting[2], setting[3])
        elif argument and not formula_line(line, self.link):
            self.row(argument[1], "", argument[2])
        elif made := self.formula(line, indented):
            self.flush()
            self.made.append(made)
        elif indented or COMMAND.match(line):
            self.flush()
            self.code(line)
        else:
            if self.rows:
                self.flush()
            self.lines.append(line)

    def formula(self, line: str, indented: bool) -> str:
        made = "" if self.in_a_sentence() else formula_line(line, self.link)
        return made or (with_condition(line, self.link) if indented else "")

    def in_a_sentence(self) -> bool:
        return bool(self.lines) and not self.lines[-1].rstrip().endswith((".", ":", ";", ")", "g)"))

    def row(self, name: str, default: str, told: str) -> None:
        if self.lines:
            self.flush()
        self.rows.append((name, default, told))

    def code(self, line: str) -> None:
        end = "</code></pre>"
        shown = html.escape(line, quote=False)
        if self.made and self.made[-1].startswith('<pre class="plain">'):
            self.made[-1] = f"{self.made[-1].removesuffix(end)}\n{shown}{end}"
        else:
            self.made.append(f'<pre class="plain"><code>{shown}{end}')


def as_html(
    text: str, link: Link, parameters: Collection[str] = (), formulas_in: bool = True
) -> str:
    """A whole docstring; without `formulas_in` its first sentence is prose."""
    paragraphs = re.split(r"\n[ \t]*\n", inspect.cleandoc(text).strip())
    page = Page(link, parameters)
    first, *more = paragraphs
    if first.startswith(">>>"):
        more = paragraphs
    else:
        plain = f'<p class="opening">{inline(" ".join(first.split()), link)}</p>'
        page.made.append(opening(first, link) if formulas_in else plain)
    for paragraph in more:
        page.paragraph(paragraph.splitlines())
    return "\n".join(page.made)
