"""What the examples share: their command line, and how a page shows a picture.

How the pictures themselves look is in pictures.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def command_line(text: str, picture: str, quick: bool = True) -> argparse.ArgumentParser:
    """A parser that knows --quick, --out and --dark; `text` is the docstring of the example."""
    parser = argparse.ArgumentParser(description=text.splitlines()[0])
    if quick:
        parser.add_argument("--quick", action="store_true", help="a short form, for a few seconds")
    parser.add_argument("--out", type=Path, default=Path(picture), help="the picture")
    parser.add_argument("--dark", action="store_true", help="draw NAME_dark.png on dark paper, too")
    return parser


def picture_tag(picture: str, text: str, width: int) -> str:
    """HTML for a page, GitHub's too: `picture`, or NAME_dark on a dark screen."""
    stem, dot, kind = picture.rpartition(".")
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{stem}_dark{dot}{kind}">'
        f'<img alt="{text}" src="{picture}" width="{width}"></picture>'
    )
