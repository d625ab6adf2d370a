"""How long it takes until the first step is done, in a fresh process; and the memory of a step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.harness import FULL, Effort, report, table, verdict

# What is timed: the code of a fresh process, and what it prints.
IMPORT = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"
FIRST_STEP = """
import time
from importlib import import_module
from benchmarks import models
torch, batch = import_module("{0}"), {2}
step = models.training_step(torch, *models.{1})
t = time.perf_counter()
step()
print(time.perf_counter() - t)
"""
PEAK = """
import resource, threading, time
from importlib import import_module
from benchmarks import models
torch = import_module("{0}")
batch = 2  # compilers and libraries are loaded
models.training_step(torch, *models.{1})()
batch = {2}
step = models.training_step(torch, *models.{1})
def now():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before, peak, going = now(), 0, True
def watch():
    global peak
    while going:
        peak = max(peak, now())
        time.sleep(0.0005)
watcher = threading.Thread(target=watch)
watcher.start()
for _ in range(20):
    step()
going = False
watcher.join()
print((peak - before) / 2**20)
"""
MODELS = {
    "784-128-10, batch 64": ("perceptron(torch, [784, 128, 10], batch)", 64),
    "CNN 28x28, batch 64": ("convolutional(torch, 28, batch)", 64),
    "GPT, batch 16": ("gpt(torch, batch)", 16),
}


def run(code: str, **environment: str) -> float:
    """Return the number that a fresh Python process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[1], env=os.environ | environment,
    )  # fmt: skip
    return json.loads(done.stdout.split()[-1])


def least_and_median(code: str, rounds: int, **environment: str) -> tuple[float, float]:
    """Return both of several fresh processes."""
    values = [run(code, **environment) for _ in range(rounds)]
    return min(values), median(values)


def main(effort: Effort) -> None:
    """Time imports and first steps, weigh steps, and report."""
    rounds = 7 if effort == FULL else 1
    with tempfile.TemporaryDirectory() as folder:
        keep = {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        run(IMPORT.format("tinygrad_opt"), **keep)
        numba = least_and_median(IMPORT.format("numba"), rounds, **keep)
        ours = least_and_median(IMPORT.format("tinygrad_opt"), rounds, **keep)
        torch = least_and_median(IMPORT.format("torch"), rounds, **keep)
        imports = [
            ["import numba", *(f"{t:.2f}" for t in numba), "", ""],
            ["import tinygrad_opt", *(f"{t:.2f}" for t in ours), *verdict(ours[0], None)],
            ["beyond numba", *(f"{a - b:.2f}" for a, b in zip(ours, numba, strict=True)),
             *verdict(ours[0] - numba[0], 0.15)],
            ["import torch", *(f"{t:.2f}" for t in torch), "", ""],
        ]  # fmt: skip
        for name, model in MODELS.items():
            code = FIRST_STEP.format("tinygrad_opt", *model)
            colds = []
            for _ in range(max(1, rounds // 3)):
                with tempfile.TemporaryDirectory() as empty:
                    colds.append(run(code, TINYGRAD_OPT_CACHE_DIR=empty, **keep))
            warm = least_and_median(code, rounds, **keep)
            imports += [
                [f"first step of {name}, kernels to compile", f"{min(colds):.2f}",
                 f"{median(colds):.2f}", *verdict(min(colds), 2.0)],
                [f"first step of {name}, kernels on disk", *(f"{t:.2f}" for t in warm),
                 *verdict(warm[0], 0.4)],
            ]  # fmt: skip
    peaks = []
    for name, model in MODELS.items():
        ours, torch = (
            median(run(PEAK.format(library, *model)) for _ in range(min(3, rounds)))
            for library in ("tinygrad_opt", "torch")
        )
        peaks.append(
            [name, f"{ours:.1f}", f"{torch:.1f}", f"{ours / torch:.2f}", *verdict(ours / torch, 1)]
        )
    report(
        "start",
        effort,
        "# Start and memory",
        f"Seconds in fresh processes, {rounds} each.",
        table(["what", "least", "median", "aim", "met"], imports),
        "Megabytes that 20 training steps need at their peak beyond what the process held before.",
        table(["network", "ours", "torch", "ours / torch", "aim", "met"], peaks),
    )
