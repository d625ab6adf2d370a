"""What the examples share: their command line. How their pictures look is in pictures.py."""

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
