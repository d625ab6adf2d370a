"""`python -m tinygrad_opt tour`: its arguments, and what it prints."""

from __future__ import annotations

import argparse
import math
import sys
import textwrap
from pathlib import Path
from typing import Any

from .. import kernels
from .chapters import Chapter, chapter, chapters
from .folder import Folder
from .judge import Verdict
from .plain import plain, width
from .running import LIMIT, run

__all__ = ["add_to"]

_SAY = "python -m tinygrad_opt tour"


def add_to(commands: Any) -> None:
    """Declares the command among those of `python -m tinygrad_opt`."""
    tour = commands.add_parser(
        "tour",
        help="a guided tour of the source, with exercises",
        description="Lists the chapters; shows one and lays its exercise; checks exercises.",
    )
    tour.add_argument("what", nargs="?", metavar="N | check", help="a chapter to read, or `check`")
    tour.add_argument("number", nargs="?", metavar="N", help="the chapter to check (default: all)")
    tour.add_argument("--folder", default="tiny_tour", help="of the exercises (default tiny_tour)")
    tour.add_argument("--answers", action="store_true", help="to the questions of chapter N")
    tour.add_argument(
        "--seconds", type=_seconds, default=LIMIT, help=f"for each check (default {LIMIT:g})"
    )
    tour.set_defaults(run=_tour)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be positive, got {text}")
    return seconds


def _tour(given: Any) -> None:
    folder = Folder(given.folder)
    if given.answers and given.what in (None, "check"):
        raise ValueError(f"tour: --answers are those of a chapter: `{_SAY} N --answers`")
    if given.what is None:
        _list(folder)
    elif given.what == "check":
        try:
            _check(folder, given.number, given.seconds)
        except KeyboardInterrupt:
            raise SystemExit(130) from None  # as shells do; the check was ended with it
    elif given.number is not None:
        raise ValueError(
            f"tour: say `tour N` or `tour check N`, got `tour {given.what} {given.number}`"
        )
    elif not given.what.isdecimal():
        raise ValueError(f"tour: want a chapter's number or `check`, got {given.what!r}")
    elif given.answers:
        print(plain(chapter(given.what).answers, width()))
    else:
        _show(folder, chapter(given.what))


def _command(folder: Folder, *words: Any) -> str:
    """What to type for it, with the folder where that is another one."""
    other = ["--folder", str(folder.path)] if str(folder.path) != "tiny_tour" else []
    return " ".join(map(str, (_SAY, *words, *other)))


# The list of chapters -----------------------------------------------------------------------------

_MARKS = {"solved": "[x]", "changed": "[~]", "laid": "[.]", "new": "[ ]"}


def _list(folder: Folder) -> None:
    states = {c: folder.state(c) for c in chapters()}
    solved = sum(state == "solved" for state in states.values())
    print(f"A guided tour of tinygrad_opt: {len(states)} chapters, {solved} solved")
    print(f"The exercises lie in {folder.path}\n" if folder.path.is_dir() else "")
    for c, state in states.items():
        print(f"  {_MARKS[state]} {c.number:2}  {c.title:<34} {', '.join(c.files)}".rstrip())
    print("\n  [x] solved  [~] changed since it was  [.] begun  [ ] new")
    ahead = next((c for c, state in states.items() if state != "solved"), None)
    if ahead is None:
        print(
            "\nAll solved. CONTRIBUTING.md says how operations and optimizers are added for good."
        )
    else:
        print(f"\nNext: {_command(folder, ahead.number)}")


# A chapter ----------------------------------------------------------------------------------------


def _show(folder: Folder, c: Chapter) -> None:
    laid = folder.lay(c)
    print(plain(f"# {c.number}. {c.title}\n\n{c.text}", width()))
    print()
    for file in c.files:
        print(f"To read:   {_source(file)}")
    path = folder.exercise(c)
    print(f"Your file: {path}{'' if laid else ' (as you left it; delete it to begin anew)'}")
    print(f"Check it:  {_command(folder, 'check', c.number)}")
    print(f"Answers:   {_command(folder, c.number, '--answers')}")


def _source(file: str) -> str:
    """Where a file of the package lies on this machine."""
    room, _, rest = file.partition("/")
    start = kernels.__file__ if room == "kernels" else Path(__file__).parent
    path = Path(start).parent / rest
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


# Checks -------------------------------------------------------------------------------------------


def _check(folder: Folder, number: str | None, seconds: float) -> None:
    """Judges one exercise, or all that were laid; exits with 1 unless all are solved."""
    if number is not None:
        todo = [chapter(number)]
        if not folder.exercise(todo[0]).is_file():
            folder.lay(todo[0])
            print(f"Laid {folder.exercise(todo[0])}, which was not there.")
    else:
        todo = [c for c in chapters() if folder.exercise(c).is_file()]
        if not todo:
            raise ValueError(f"tour: nothing to check in {folder.path}; begin with `{_SAY} 1`")
    kinds = []
    for c in todo:
        verdict, printed = run(c, folder.exercise(c), seconds)
        folder.note(c, verdict.kind == "solved")
        kinds.append(verdict.kind)
        print(_printable(_told(c, verdict, printed, folder)), flush=True)
    if len(todo) > 1:
        print(f"\n{kinds.count('solved')} of {len(todo)} solved")
    elif kinds == ["solved"]:
        ahead = [k for k in chapters() if folder.state(k) != "solved"]
        if ahead:
            following = next((k for k in ahead if k.number > todo[0].number), ahead[0])
            print(f"Next: {_command(folder, following.number)}")
        else:
            print("That was the last one: the whole tour is solved.")
    if set(kinds) != {"solved"}:
        raise SystemExit(1)


def _printable(text: str) -> str:
    """The text with escapes for what standard output has no letters for."""
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


_WORDS = {"solved": "solved", "open": "not done yet", "wrong": "not right yet",
          "broken": "not running yet", "stopped": "stopped"}  # fmt: skip


def _told(c: Chapter, verdict: Verdict, printed: str, folder: Folder) -> str:
    mark = "[x]" if verdict.kind == "solved" else "[ ]"
    lines = [f"{mark} {c.number}. {c.title}: {_WORDS[verdict.kind]}"]
    for label, text in verdict.lines:
        head = f"    {label:<10} "
        for i, line in enumerate(text.splitlines() or [""]):
            start = " " * len(head) if i else head
            rest = " " * len(head)
            lines.append(textwrap.fill(line, width(), initial_indent=start, subsequent_indent=rest,
                                       break_long_words=False, break_on_hyphens=False))  # fmt: skip
    if printed.strip():
        lines.append("    it printed:")
        shown = printed.rstrip().splitlines()[:20]
        lines += [f"      | {line}"[: width()] for line in shown]
    if verdict.kind != "solved":
        lines.append(f"    {'your file':<10} {folder.exercise(c)}")
    return "\n".join(lines)
