"""Markdown as plain text of some width: headings, paragraphs, lists, code as it is."""

from __future__ import annotations

import re
import shutil
import textwrap

__all__ = ["plain", "width"]

_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
_ITEM = re.compile(r"^(- |\d+\. )")


def width() -> int:
    """The columns to write in: the terminal's, between 40 and 90."""
    return min(max(shutil.get_terminal_size((90, 24)).columns, 40), 90)


def plain(markdown: str, columns: int) -> str:
    """The text without marks of links and emphasis, in lines of at most `columns`.

    Code, in fences or indented by four, keeps its lines, whatever their length.
    """
    text, before = "", ""
    for block in _blocks(markdown):
        tight = _ITEM.match(block) and _ITEM.match(before)
        text += ("\n" if tight else "\n\n") + _block(block, columns)
        before = block
    return text.lstrip("\n")


def _blocks(markdown: str) -> list[str]:
    """Headings, paragraphs, items and pieces of code, in order."""
    found: list[str] = []
    code, fence = False, False
    for line in markdown.splitlines():
        if line.startswith("```"):
            fence = not fence
            found.append("")
        elif fence or line.startswith("    "):
            if not (code and found):
                found.append("")
            found[-1] += f"    {line.removeprefix('' if fence else '    ')}".rstrip() + "\n"
            code = True
            continue
        elif not line.strip():
            found.append("")
        elif _ITEM.match(line) or line.startswith("#"):
            found += [line + "\n", ""] if line.startswith("#") else [line + "\n"]
        else:
            if not found:
                found.append("")
            found[-1] += line + "\n"
        code = False
    return [block.rstrip("\n") for block in found if block.strip()]


def _block(block: str, columns: int) -> str:
    if block.startswith("    "):
        return block
    text = _LINK.sub(r"\1", " ".join(block.split())).replace("**", "")
    if text.startswith("#"):
        lines = textwrap.wrap(text.lstrip("# "), columns)
        rule = "=" if block.startswith("# ") else "-"
        return "\n".join([*lines, rule * max(map(len, lines))])
    mark = _ITEM.match(text)
    hang = " " * (len(mark[1]) if mark else 0)
    return textwrap.fill(
        text, columns, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
    )
