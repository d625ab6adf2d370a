"""Check the device path on a real GPU: whether it is right, then how fast.

    python -m benchmarks.gpu [--only tests,speed] [--skip big] [--commit abc123] [--out FOLDER]

From the root of a checkout; nothing need be installed but NumPy, CuPy, numba-cuda and pytest, and
nothing is fetched. PyTorch and JAX are compared with where they are. It takes at most `--budget`
seconds.

Every part runs in a process of its own (a crash, or an error that CUDA does not recover from, hides
nothing else) with a cap; what it finds is written as it comes, to gpu.json and gpu.md in the folder
that --out or $OUT names, else the current one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from benchmarks.harness import machine, table

ROOT = Path(__file__).parents[2]

# What is timed runs alone. Module -> seconds at most; what stands together runs side by side.
PHASES = (
    {"environment": 60},
    {"tests": 105, "memcheck": 80},
    {"launch": 30},
    {"networks": 60},
    {"graphs": 100},
    {"speed": 60},
    {"tiles": 40},
    {"profiled": 25},
    {"many": 30},
    {"capture": 30},
    {"big": 35},
)
PARTS = [name for phase in PHASES for name in phase]


class Child:
    """One part, running in a process that leads a group of its own."""

    def __init__(self, name: str, cap: float, folder: Path, options: argparse.Namespace) -> None:
        self.name, self.start, self.end = name, time.time(), time.time() + cap
        self.found, self.log = folder / f"{name}.jsonl", folder / f"{name}.log"
        self.found.touch()
        command = [sys.executable, "-m", "benchmarks.gpu", "--part", name, "--out", options.out]
        command += ["--found", str(self.found)] + ["--quick"] * options.quick
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def running(self) -> bool:
        return self.process.poll() is None

    def finish(self) -> list[dict]:
        """Stop it if it still runs; return what it found, and how it ended if that was badly."""
        late = self.running()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its own children, too
        code = self.process.wait()
        lines = self.found.read_text().splitlines()
        records = [json.loads(line) for line in lines if line.endswith("}")]
        if late or code:
            how = (
                f"stopped after {time.time() - self.start:.0f} s" if late else f"exit status {code}"
            )
            tail = self.log.read_text(errors="replace")[-900:]
            records.append(dict(part=self.name, name="the process", ok=False, value=how, note=tail))
        return records


def run_all(options: argparse.Namespace) -> list[dict]:
    """Run the parts phase by phase within the budget; return their records."""
    start, records, seconds = time.time(), [], {}
    with tempfile.TemporaryDirectory() as folder:
        for phase in PHASES:
            left = options.budget - (time.time() - start)
            names = [name for name in phase if name in options.parts]
            if left < 8 and names:
                records += [dict(part=name, name="left out", ok=None, value="no time left", note="")
                            for name in names]  # fmt: skip
                continue
            children = [Child(n, min(phase[n], left), Path(folder), options) for n in names]
            while any(child.running() and time.time() < child.end for child in children):
                time.sleep(0.1)
                for child in children:
                    if not child.running():
                        seconds.setdefault(child.name, round(time.time() - child.start))
                    elif time.time() > child.end:
                        child.process.kill()
            for child in children:
                seconds.setdefault(child.name, round(time.time() - child.start))
                records += child.finish()
            write(options, records, seconds, time.time() - start)
    return records


def write(options: argparse.Namespace, records: list[dict], seconds: dict, total: float) -> None:
    """Write gpu.json and gpu.md."""
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    whole = {"commit": options.commit, "seconds": seconds, "total": total, "records": records}
    (folder / "gpu.json").write_text(json.dumps(whole, indent=1))
    (folder / "gpu.md").write_text(page(options, records))


def page(options: argparse.Namespace, records: list[dict]) -> str:
    """The results as a page: a table for each part, the card and the commit at its head."""
    values = {r["name"]: r["value"] for r in records if r["part"] == "environment"}
    parts = [
        "# On a real GPU",
        f"`python -m benchmarks.gpu` at commit {options.commit}, on {values.get('device', '?')}; "
        f"{machine()}",
        "Times of the host are what a call costs before it returns; times of the device are taken "
        "by events. TB/s count what must be read and written.",
    ]
    for part in dict.fromkeys(r["part"] for r in records):
        rows = [(r["name"], _cell(r["value"]), {True: "ok", False: "**no**", None: ""}[r["ok"]],
                 _cell(r["note"].strip().splitlines()[-1:] or [""]))
                for r in records if r["part"] == part]  # fmt: skip
        parts += [f"## {part}", table(("what", "value", "", "note"), rows)]
    return "\n\n".join(parts) + "\n"


def _cell(text: object) -> str:
    text = text[0] if isinstance(text, list) else text
    return " ".join(str(text).split())[:200].replace("|", "\\|")


def show(records: list[dict]) -> None:
    """Print what fits on a screen: all that failed last."""
    for r in [r for r in records if r["ok"] is not False] + [
        r for r in records if r["ok"] is False
    ]:
        mark = {True: "ok", False: "FAIL", None: ""}[r["ok"]]
        note = " ".join(r["note"].strip().splitlines()[-1:])
        value = f"{r['value']} [{note}]" if note else r["value"]
        print(f"{r['part']:11} {mark:4} {r['name'][:56]:56} {' '.join(value.split())[:150]}"[:190])
    good, bad = (sum(r["ok"] is wanted for r in records) for wanted in (True, False))
    print(f"{good} ok, {bad} FAIL")


def main() -> int:
    """Run the parts that the command line names, or be one of them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, default in (("only", ""), ("skip", ""), ("commit", _commit()), ("part", ""),
                          ("out", os.environ.get("OUT", ".")), ("found", "")):  # fmt: skip
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--budget", type=float, default=370)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    options = parser.parse_args()
    options.out = os.path.abspath(options.out)
    if options.part:
        from benchmarks.gpu.measure import Report, prepare

        report = Report(options.part, options.found)
        prepare()
        with report.step("the part itself"):
            import_module(f"benchmarks.gpu.{options.part}").run(report, options.quick)
        sys.stdout.flush()
        os._exit(0)  # nothing may hang at the end
    only, skip = (set(filter(None, text.split(","))) for text in (options.only, options.skip))
    if unknown := (only | skip) - set(PARTS):
        parser.error(f"no part named {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    options.parts = [name for name in PARTS if name not in skip and (not only or name in only)]
    records = run_all(options)
    show(records)
    return any(r["ok"] is False for r in records)


def _commit() -> str:
    try:
        command = ["git", "rev-parse", "--short", "HEAD"]
        done = subprocess.run(command, cwd=ROOT, text=True, check=True, capture_output=True)
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
