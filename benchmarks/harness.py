"""Time the same work in several libraries, fairly.

Every library runs in a process of its own, because the thread pools of Numba, PyTorch and JAX
slow each other down. The processes take short turns in many rounds: what disturbs the machine for
a while disturbs them all. One turn gives the least and the median of its samples. A time is the
median of the turns' medians, beside it the least of all; a ratio is the median of the ratios within
each round, beside it that of the leasts. Python's garbage collector stays on, as it does in
training.

A benchmark is a module with `prepare(library, case)`, which returns the work as a function, or None
where the library does not have it. Work that finishes in the background carries a `wait`
attribute: a function that returns when all is done.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from statistics import median, quantiles
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "examples"))  # pictures.py: how pictures look

from common import picture_tag  # noqa: F401

RESULTS = Path(__file__).parent / "results"
MICRO = 1e6  # microseconds in a second


@dataclass(frozen=True)
class Effort:
    """How many rounds, and for how many seconds one turn of one library samples."""

    rounds: int
    seconds: float


FULL = Effort(rounds=15, seconds=0.1)
QUICK = Effort(rounds=1, seconds=0.01)

# Variables that a worker starts with, by what follows the library's name and a comma.
ONE_THREAD = "one thread"
ENVIRONMENTS = {
    "malloc as it is": {"TINYGRAD_OPT_MALLOC": "default"},
    ONE_THREAD: {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "NUMBA", "OMP", "MKL")},
}


def sample(work: Callable, seconds: float) -> tuple[float, float]:
    """Return the seconds that one call of `work` takes: the least and the median of batches."""
    wait = getattr(work, "wait", lambda: None)

    def batch(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        wait()
        return (time.perf_counter() - start) / calls

    batch(1)  # compiles, allocates
    calls = max(1, int(2e-4 / batch(3)))  # long enough for the clock, short enough for a median
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        times.append(batch(calls))
    return min(times), median(times)


class Worker(contextlib.AbstractContextManager):
    """A process that prepares and times the cases of one benchmark with one library."""

    def __init__(self, benchmark: str, library: str) -> None:
        self.name = f"{benchmark} with {library}"
        command = [sys.executable, "-m", "benchmarks.harness", benchmark, library]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
            env=os.environ | ENVIRONMENTS.get(library.partition(", ")[2], {}),
        )

    def ask(self, case: object, seconds: float) -> list[float] | None:
        """Return the seconds that a call takes, as `sample`; None where the library has no such."""
        print(json.dumps([case, seconds]), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} stopped at {case}; what it printed is above")
        return json.loads(answer)

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve(benchmark: str, library: str) -> None:
    """Be a worker: answer each line of [case, seconds] with the seconds that one call takes."""
    library = library.partition(", ")[0]
    prepare = import_module(f"benchmarks.{benchmark}").prepare
    last = work = None
    for line in sys.stdin:
        case, seconds = json.loads(line)
        if case != last:
            work = None  # let go of the last case's memory first
            last, work = case, prepare(library, case)
        print(json.dumps(work and sample(work, seconds)), flush=True)


class Times(dict[str, list[list[float]]]):
    """For each library the seconds of one call, round by round: the least and the median."""

    def micro(self, library: str) -> float:
        """Return the microseconds of one call: the median of the rounds."""
        return median(middle for _, middle in self[library]) * MICRO

    def least(self, library: str) -> float:
        """Return the microseconds of the quickest call."""
        return min(least for least, _ in self[library]) * MICRO

    def ratios(self, library: str, peer: str) -> list[float]:
        """Return how many times the peer's time a call takes, round by round."""
        return [a / b for (_, a), (_, b) in zip(self[library], self[peer], strict=True)]

    def ratio(self, library: str, peer: str) -> float:
        """Return the same: the median over the rounds."""
        return median(self.ratios(library, peer))

    def least_ratio(self, library: str, peer: str) -> float:
        """Return the same of the quickest calls."""
        return self.least(library) / self.least(peer)


def compare(
    benchmark: str, libraries: Iterable[str], cases: Sequence, effort: Effort
) -> list[Times]:
    """Return for each case the times of each library that has it."""
    results = []
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(benchmark, name)) for name in libraries}
        for number, case in enumerate(cases, 1):
            print(f"{benchmark} {number}/{len(cases)}: {case}", file=sys.stderr)
            turns = [
                {name: worker.ask(case, effort.seconds) for name, worker in workers.items()}
                for _ in range(effort.rounds)
            ]
            have = [name for name in workers if turns[0][name] is not None]
            results.append(Times({name: [turn[name] for turn in turns] for name in have}))
    return results


@contextlib.contextmanager
def busy_cores() -> Iterator[None]:
    """Have as many other processes as there are cores compute all the time."""
    others = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def verdict(value: float, aim: float | None) -> tuple[str, str]:
    """Return the cells that say what the aim is and whether the value meets it."""
    if aim is None:
        return "", ""
    return f"{aim:g}", "yes" if value <= aim else "**no**"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table; all columns but the first stand right-aligned."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine() -> str:
    """Return what the figures depend on: processor, cores, versions and the day."""
    cpu = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    versions = [f"Python {platform.python_version()}"]
    for name in ("numpy", "numba", "torch", "jax", "optax"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    today = datetime.date.today().isoformat()
    return f"{cpu}, {os.cpu_count()} cores; {', '.join(versions)}; {today}."


def report(benchmark: str, effort: Effort, *parts: str) -> None:
    """Print the parts under one another; a full effort is kept in benchmarks/results/."""
    command = f"`python -m benchmarks {benchmark}`"
    text = "\n\n".join([parts[0], f"{command} on {machine()}", *parts[1:]]) + "\n"
    print(text)
    if effort == FULL:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{benchmark}.md").write_text(text)


def picture(benchmark: str, effort: Effort, draw: Callable[[Any], None], height: float = 4) -> None:
    """Have `draw` fill the axes of a picture; a full effort keeps it in benchmarks/results/."""
    if effort != FULL:
        return
    from pictures import looks

    RESULTS.mkdir(exist_ok=True)
    for look in looks(RESULTS / f"{benchmark}.png", dark=True):
        figure = look.figure(9, height)
        draw(figure.subplots())
        look.save(figure)


@dataclass(frozen=True)
class Bar:
    """A ratio of two times: the median over the rounds, quartiles, that of the least times."""

    median: float
    least: float
    quartiles: tuple[float, float] | None = None
    aim: float | None = None


def bar(times: Times, library: str, peer: str, aim: float | None) -> Bar:
    """Return what `draw_ratios` draws of the times of two libraries."""
    rounds = times.ratios(library, peer)
    low, _, high = quantiles(rounds, n=4) if len(rounds) > 1 else (rounds[0],) * 3
    return Bar(median(rounds), times.least_ratio(library, peer), (low, high), aim)


def draw_ratios(axes: Any, bars: dict[str, Bar], ours: str = "ours") -> None:
    """Draw a bar from zero for each ratio, its number, the spread of the rounds and the aim."""
    from pictures import BLUE, GREY, INK, ORANGE, RED

    names = list(bars)[::-1]
    drawn = [bars[name] for name in names]
    axes.barh(names, [one.median for one in drawn], 0.62, color=BLUE, alpha=0.55)
    spread = [(i, *one.quartiles) for i, one in enumerate(drawn) if one.quartiles]
    if spread:
        axes.hlines(*zip(*spread, strict=True), color=INK, label="middle half of the rounds")
    axes.plot([one.least for one in drawn], names, "o", color=ORANGE, markersize=5,
              label="ratio of the least times")  # fmt: skip
    aimed = [(name, one.aim) for name, one in zip(names, drawn, strict=True) if one.aim]
    axes.plot([aim for _, aim in aimed], [name for name, _ in aimed], "|", color=GREY,
              markersize=15, markeredgewidth=1.6, label="aim")  # fmt: skip
    for i, one in enumerate(drawn):  # in a column, so that no number is taken for another mark's
        axes.annotate(f"{one.median:.2f}", (1, i), (10, 0), va="center", color=INK, weight="bold",
                      xycoords=("axes fraction", "data"), textcoords="offset points")  # fmt: skip
    axes.axvline(1, color=RED, linewidth=1.2, label="PyTorch's time")
    axes.set_xlim(0, 1.08 * max(1, *(one.median for one in drawn)))
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", labelcolor=INK)
    axes.set_xlabel(f"{ours} / PyTorch: median over the rounds, shorter is quicker")
    axes.figure.legend(loc="outside lower center", ncols=4)


if __name__ == "__main__":
    serve(*sys.argv[1:])
