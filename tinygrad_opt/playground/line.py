"""The arguments of `python -m tinygrad_opt playground`."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["add_command"]


def add_command(commands: Any) -> None:
    """Add `playground` to the sub-commands of an argument parser."""
    parser = commands.add_parser(
        "playground",
        help="two optimizers race in a page of your browser",
        description="Opens a page on this machine, where two optimizers race. Rules that are typed "
        "there run as Python in this process: the page answers to 127.0.0.1 alone.",
    )
    parser.add_argument("--port", type=_port, default=5006, help="0 for any (default 5006)")
    parser.add_argument(
        "--no-browser", dest="show", action="store_false", help="only say where the page is"
    )
    parser.set_defaults(run=_run)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, got {number}")
    return number


def _run(given: Any) -> None:
    from .page import serve

    serve(given.port, given.show)
