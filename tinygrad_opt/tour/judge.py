"""Judging one exercise, in a process of its own: python -m tinygrad_opt.tour.judge N FILE OUT WHEN.

OUT gets a Verdict as JSON; at the time WHEN, OUT.where gets the lines that Python is at. What the
reader's code prints is the process's own output.
"""

from __future__ import annotations

import faulthandler
import importlib
import importlib.util
import json
import linecache
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .chapters import Chapter, chapter
from .judging import Wrong

resource: Any
try:
    import resource
except ImportError:  # Windows
    resource = None

__all__ = ["Verdict", "judge"]

MEMORY = 4 << 30  # bytes that the reader's code may ask for


class Verdict(NamedTuple):
    """How an exercise was found.

    Attributes:
        kind: "solved", "open" (not begun), "wrong", "broken" (it raised) or "stopped".
        lines: what to tell, each as (label, text).
    """

    kind: str
    lines: list[tuple[str, str]]


def judge(exercise: Chapter, path: Path) -> Verdict:
    """Runs the reader's file, and the chapter's check on it; never raises for what is in there."""
    try:
        answer = _load(path)
        check = importlib.import_module(f"{__package__}.checks.{exercise.slug}").check
        praise = check(answer)
    except NotImplementedError as error:
        return Verdict("open", [("to do", str(error) or "the exercise")])
    except Wrong as wrong:
        lines = [("looked at", wrong.what), ("expected", wrong.expected), ("got", wrong.got)]
        return Verdict("wrong", [(a, str(b)) for a, b in (*lines, ("hint", wrong.hint)) if b])
    except SyntaxError as error:
        where = f"line {error.lineno}: {(error.text or '').strip()}"
        return Verdict("broken", [("not Python", f"{error.msg}"), ("where", where)])
    except RecursionError as error:
        hint = "Python's stack holds a thousand calls; graphs are deeper. Use a loop, and a list"
        deep = "RecursionError: it calls itself too deep"
        return Verdict("broken", [("raised", deep), *_place(error, path), ("hint", hint)])
    except BaseException as error:  # SystemExit and KeyboardInterrupt are the reader's as well
        said = "".join(traceback.format_exception_only(error)).strip()
        place = _place(error, path)
        hints = [("hint", text) for sign, text in _HINTS.items() if sign in said]
        if not place and not hints:
            hints = [("hint", "the check came to this with what your code gave it")]
        return Verdict("broken", [("raised", said), *place, *hints])
    return Verdict("solved", [("seen", praise)] if praise else [])


_HINTS = {
    "MemoryError": "does a loop append without end?",
}


def _load(path: Path) -> ModuleType:
    """The reader's file as a module of its own name, which later imports find as well."""
    name = f"exercise_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    # A cached file of the same second and size would be taken for what was changed since.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


def _place(error: BaseException, path: Path) -> list[tuple[str, str]]:
    """The innermost line of the reader's file that the error passed through."""
    there = str(path.resolve())
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == there]
    if not frames:
        return []
    line = linecache.getline(there, frames[-1].lineno or 0).strip()
    return [("where", f"line {frames[-1].lineno}: {line}")]


def main(number: str, path: str, out: str, when: str) -> None:
    """Judges one exercise and writes the verdict."""
    if resource is not None:
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    with open(f"{out}.where", "w") as where:
        faulthandler.dump_traceback_later(max(float(when) - time.time(), 0.1), file=where)
        verdict = judge(chapter(number), Path(path).resolve())
        faulthandler.cancel_dump_traceback_later()
    Path(out).write_text(json.dumps(verdict), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
