"""A log of numbers: JSON lines that survive a crash, and TensorBoard beside them."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

from ..optional import need

__all__ = ["MetricsLog"]

_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}  # JSON has no such


class MetricsLog:
    """Appends a line of JSON for each call, at once on its way to the disk.

    path: the file; lines of an earlier run stay, half a line of a killed one is taken away.
    tensorboard: a folder that TensorBoard reads, written as well (extra `tensorboard`).

    A line holds "step", "time" (seconds since 1970) and what was given. Numbers that JSON lacks
    stand as "NaN", "Infinity" and "-Infinity"; `read` turns them back.
    Raises ImportError for `tensorboard` without tensorboardX.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "metrics.jsonl"
    >>> with MetricsLog(path) as log:
    ...     log.write(10, loss=0.5, lr=0.1)
    >>> [line["loss"] for line in MetricsLog.read(path)]
    [0.5]
    """

    def __init__(
        self, path: str | os.PathLike[str], tensorboard: str | os.PathLike[str] | None = None
    ) -> None:
        self._board: Any = None
        if tensorboard is not None:
            module = need("tensorboardX", "tensorboard", "MetricsLog: tensorboard=...")
            self._board = module.SummaryWriter(os.fspath(tensorboard))
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _mend(self.path)
        self._file = open(self.path, "ab")  # noqa: SIM115  closed by `close`

    def write(self, step: int, **values: Any) -> None:
        """Appends a line: numbers, 0-d Tensors and arrays, strings, booleans, None.

        Raises TypeError, naming it, for anything else, and ValueError once it is closed; in either
        case nothing is written.
        """
        plain = {name: _plain(name, value) for name, value in values.items()}
        line = {"step": int(step), "time": time.time()}
        line.update((name, _as_json(value)) for name, value in plain.items())
        if self._file.closed:
            raise ValueError(
                f"MetricsLog: {os.fspath(self.path)} is closed; open it again: MetricsLog(path)"
            )
        self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._file.flush()
        if self._board is not None:
            for name, value in plain.items():
                if isinstance(value, (int, float)):
                    self._board.add_scalar(name, value, int(step))

    def close(self) -> None:
        """Closes the files; a second time does nothing."""
        self._file.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @staticmethod
    def read(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
        """The lines of a log as dicts; a last line that was cut off by a crash is left out.

        Raises ValueError, naming the line, for damage elsewhere.
        """
        lines = Path(path).read_bytes().split(b"\n")
        rows = [_parsed(line) for line in lines if line.strip()]
        torn = bool(lines[-1].strip()) and rows[-1] is None
        if None in rows[: -1 if torn else None]:
            number = next(
                i for i, line in enumerate(lines) if line.strip() and _parsed(line) is None
            )
            raise ValueError(f"MetricsLog.read: line {number + 1} of {os.fspath(path)} is damaged")
        return [row for row in rows if row is not None]


def _mend(path: Path) -> None:
    """Make a file end with a whole line, so that the next begins as one of its own."""
    if not path.exists():
        return
    with open(path, "r+b") as file:
        data = file.read()
        last = data.rpartition(b"\n")[2]
        if last and _parsed(last) is not None:
            file.write(b"\n")
        elif last:
            file.truncate(len(data) - len(last))


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The line as a dict; None if it is none."""
    try:
        row = json.loads(line)
    except ValueError:  # UnicodeDecodeError is one
        return None
    if not isinstance(row, dict):
        return None
    return {k: _SPECIAL.get(v, v) if isinstance(v, str) else v for k, v in row.items()}


def _plain(name: str, value: Any) -> Any:
    """The value as a Python number, string, boolean or None."""
    if hasattr(value, "item") and math.prod(getattr(value, "shape", ())) == 1:
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"MetricsLog: {name} must be a number, a string or None, but is a {type(value).__name__} "
        f"of shape {tuple(getattr(value, 'shape', ()))}; take its mean(), or its item()"
    )


def _as_json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
