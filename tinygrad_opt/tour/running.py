"""Running a check on the reader's code in a process of its own, which may do as it likes."""

from __future__ import annotations

import contextlib
import json
import linecache
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from .chapters import Chapter
from .judge import Verdict

__all__ = ["LIMIT", "run"]

LIMIT = 60.0  # seconds; a check takes one to five
ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
KEPT = 2_000  # characters of what the reader's code prints


def run(exercise: Chapter, path: Path, limit: float = LIMIT) -> tuple[Verdict, str]:
    """The verdict on a file, and the beginning of what it printed.

    The process is ended after `limit` seconds, and with it what it has started.
    """
    with tempfile.TemporaryDirectory(prefix="tiny_tour") as folder:
        out = Path(folder) / "verdict.json"
        command = [sys.executable, "-m", f"{__package__}.judge", str(exercise.number)]
        with subprocess.Popen(
            [*command, str(path), str(out), str(time.time() + 0.9 * limit)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, env=os.environ | ENVIRONMENT,
        ) as process:  # fmt: skip
            printed = _Kept(process.stdout)
            stopped = False
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                stopped = True
            finally:
                _end(process)
                printed.wait()
        if stopped:
            told = f"stopped after {limit:g} seconds"
            lines = [("raised", told), *_where(out, path), ("hint", LOOP)]
            return Verdict("stopped", lines), printed.text()
        return _verdict(out, process.returncode), printed.text()


LOOP = (
    "does a loop wait for something that never comes, or go the same ways again and again? "
    "`--seconds` allows more time"
)


def _verdict(out: Path, code: int) -> Verdict:
    try:
        kind, lines = json.loads(out.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        told = f"Python ended before the check did, with exit code {code}"
        hint = "take os._exit and the like out; a crash in a kernel is an index out of range"
        return Verdict("broken", [("raised", told), ("hint", hint)])
    return Verdict(kind, [(label, text) for label, text in lines])


def _where(out: Path, path: Path) -> list[tuple[str, str]]:
    """The line of the reader's file that Python was at."""
    try:
        told = Path(f"{out}.where").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = re.search(rf'File "{re.escape(str(path.resolve()))}", line (\d+)', told)
    if found is None:
        return []
    line = linecache.getline(str(path), int(found[1])).strip()
    return [("where", f"line {found[1]}: {line}")]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process, and its children where the system has groups of them."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


class _Kept:
    """The first characters of what a process prints; the rest is read too, so it never waits."""

    def __init__(self, stream: Any) -> None:
        self._parts: list[bytes] = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: Any) -> None:
        size = 0
        with contextlib.suppress(OSError, ValueError):  # closed beneath it
            while part := stream.read1(65_536):
                if size <= KEPT:
                    self._parts.append(part)
                size += len(part)

    def wait(self) -> None:
        """Until all is read; not for ever, as something that was started may hold the other end."""
        self._thread.join(5)

    def text(self) -> str:
        """What came, cut after KEPT characters."""
        text = b"".join(self._parts).decode(errors="replace")
        return text if len(text) <= KEPT else text[:KEPT] + "\n... (and more)\n"
