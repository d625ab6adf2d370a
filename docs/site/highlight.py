"""Python in colours: the classes are those of Pygments, which is too slow for all of the source."""

from __future__ import annotations

import html
import keyword
import re

TOKEN = re.compile(
    r"(?P<s>(?i:[rbuf]{0,2})(?:'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"))"
    r"|(?P<c1>\#[^\n]*)"
    r"|(?P<nd>(?m:^[ \t]*@[\w.]+))"
    r"|(?P<mi>\b(?:0[xb][\da-fA-F_]+|\d[\d_]*\.?\d*(?:e[-+]?\d+)?)\b)"
    r"|(?P<name>[A-Za-z_]\w*)"
)
CONSTANTS = {"True", "False", "None"}
PROMPT = re.compile(r"(>>> ?|\.\.\. ?)(.*)")


def _kind(found: re.Match[str], before: str) -> str:
    kind = found.lastgroup or ""
    if kind != "name":
        return kind
    word = found[0]
    if word in CONSTANTS:
        return "kc"
    if keyword.iskeyword(word):
        return "k"
    if before in ("def", "class"):
        return "nf" if before == "def" else "nc"
    return ""


def python(text: str) -> str:
    """Python source as HTML; no tag goes over the end of a line."""
    parts, end, before = [], 0, ""
    for found in TOKEN.finditer(text):
        parts.append(html.escape(text[end : found.start()], quote=False))
        kind = _kind(found, before)
        lines = html.escape(found[0], quote=False).split("\n")
        parts.append("\n".join(f'<span class="{kind}">{x}</span>' if kind else x for x in lines))
        end, before = found.end(), found[0]
    return "".join(parts) + html.escape(text[end:], quote=False)


def session(text: str) -> str:
    """What was typed, and what was answered."""
    lines = []
    for line in text.splitlines():
        found = PROMPT.match(line)
        if found:
            prompt = html.escape(found[1], quote=False)
            lines.append(f'<span class="gp">{prompt}</span>{python(found[2])}')
        else:
            lines.append(f'<span class="go">{html.escape(line, quote=False)}</span>')
    return "\n".join(lines)


def block(text: str, language: str = "python") -> str:
    """A block of code, as the theme styles and copies it."""
    shown = session(text) if language == "pycon" else python(text)
    return f'<div class="highlight"><pre><code>{shown}\n</code></pre></div>'
