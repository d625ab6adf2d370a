"""How a loop is going: a bar where one can be drawn, and else a line now and then."""

from __future__ import annotations

import contextlib
import operator
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["Bar", "Lines", "Quiet", "progress"]

FEW_SECONDS = 5.0  # without a line for longer than that, a program seems to hang
MANY = 100  # loops up to this length get a line for each turn
_SHORT_BAR = 10  # columns that are left for the bar, however much there is to say
_FORMAT = "{desc}: {n_fmt}/{total_fmt} |{bar}| {elapsed}<{remaining}{postfix}"


def progress(
    items: Iterable[Any], what: str, quiet: bool = False, *, total: int | None = None,
    initial: int = 0, unit: str = "", leave: bool = True,
) -> Quiet:  # fmt: skip
    """Goes through `items`, showing on stderr how far it is: a bar of tqdm's, or lines.

    A terminal or a notebook gets a bar, if tqdm is installed (extra `examples`). A pipe, a file, or
    anything without tqdm gets a line for each turn of the loop; of loops of more than 100 turns
    about every twentieth, and one whenever 5 seconds have passed.
    total: their number, else asked of them.  initial: how many were done before.  unit: what an
    item is ("epoch").  leave=False: a loop in another, which is shown only while it runs.
    `set_postfix(loss=0.5)` on the result shows numbers, as many as fit beside a bar.

    >>> [i * i for i in progress(range(3), "squaring", quiet=True)]
    [0, 1, 4]
    """
    if quiet or sys.stderr is None:
        return Quiet(items)
    total = operator.length_hint(items, -1) if total is None else total
    count = None if total < 0 else total
    bar = _bar_class()
    if bar is None:
        return Lines(items, what, count, initial, unit, leave)
    return Bar(bar, items, what, count, initial, unit, leave)


class Quiet:
    """Goes through `items` and says nothing."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def set_postfix(self, **values: Any) -> None:
        """What to show beside the count: numbers, or texts."""

    def close(self) -> None:
        """Says what is left to say, where the loop was left early."""


class Bar(Quiet):
    """A bar of tqdm's, with no more numbers beside it than leave room for it."""

    def __init__(
        self, bar: Any, items: Iterable[Any], what: str, total: int | None, initial: int,
        unit: str, leave: bool,
    ) -> None:  # fmt: skip
        super().__init__(items)
        options = {} if total is None else {"bar_format": _FORMAT}
        self._taken = len(what) + 2 * len(str(total)) + _SHORT_BAR + len(": / || 00:00<00:00, ")
        self._bar = bar(
            items, what, total=total, initial=initial, unit=unit or "it", leave=leave,
            dynamic_ncols=True, **options,
        )  # fmt: skip

    def __iter__(self) -> Iterator[Any]:
        return iter(self._bar)

    def set_postfix(self, **values: Any) -> None:
        self._bar.set_postfix_str(_fitting(_texts(values), _columns() - self._taken))

    def close(self) -> None:
        self._bar.close()


class Lines(Quiet):
    """A line for a turn of the loop, with the numbers that were set in it."""

    def __init__(
        self, items: Iterable[Any], what: str, total: int | None, initial: int, unit: str,
        leave: bool,
    ) -> None:  # fmt: skip
        super().__init__(items)
        self._what = f"{what}, {unit}" if unit else what
        self._total, self._done, self._first = total, initial, initial + 1
        self._nested = not leave
        self._every = 1 if (total or 0) <= MANY else -(-(total or 0) // 20)
        self._began = self._said = time.monotonic()
        self._said_of = initial
        self._numbers = ""

    def __iter__(self) -> Iterator[Any]:
        for item in self.items:
            yield item
            self._done += 1
            if self._is_due():
                self._say()

    def set_postfix(self, **values: Any) -> None:
        self._numbers = "".join(f"{', ' if i else ': '}{t}" for i, t in enumerate(_texts(values)))

    def close(self) -> None:
        if self._done > self._said_of and not self._nested:
            self._say()

    def _is_due(self) -> bool:
        if time.monotonic() - self._said > FEW_SECONDS:
            return True
        if self._nested:
            return False
        if self._total is None:
            return self._done == self._first
        return self._done in (self._first, self._total) or self._done % self._every == 0

    def _say(self) -> None:
        of = "" if self._total is None else f"/{self._total}"
        seconds = time.monotonic() - self._began
        stream = sys.stdout if _in_notebook() else sys.stderr
        with contextlib.suppress(OSError, ValueError):  # nobody listens: that must not end a run
            print(
                f"{self._what} {self._done}{of}{self._numbers} [{seconds:.0f} s]",
                file=stream, flush=True,
            )  # fmt: skip
        self._said, self._said_of = time.monotonic(), self._done


def _bar_class() -> Any:
    """The class that draws bars where they can be seen; None if there is none."""
    if not (_in_notebook() or _is_terminal(sys.stderr)):
        return None
    try:
        from tqdm import auto
    except ImportError:
        return None
    return auto.tqdm


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook, whose stderr is not a terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # closed, or something in its place
        return False


def _columns() -> int:
    """The width of what stderr goes to."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (AttributeError, OSError, ValueError):
        return shutil.get_terminal_size().columns


def _texts(values: dict[str, Any]) -> list[str]:
    return [
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in values.items()
    ]


def _fitting(texts: list[str], room: int) -> str:
    """As many of them as there is room for, and the first in any case."""
    kept = texts[:1]
    for text in texts[1:]:
        if len(", ".join([*kept, text])) > room:
            break
        kept.append(text)
    return ", ".join(kept)
