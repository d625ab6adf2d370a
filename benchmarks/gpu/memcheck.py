"""Update kernels and a small network under compute-sanitizer, where that is installed."""

from __future__ import annotations

import glob
import shutil
import subprocess
import sys

from benchmarks.gpu.measure import Report

TINY = """
import tinygrad_opt as tg
for name in ("SGD", "AdamW", "Lion", "RMSprop"):
    for sizes in ([1], [255, 257], [4097]):
        ps = [tg.ones(n, device="cuda", requires_grad=True) for n in sizes]
        optimizer = getattr(tg.optim, name)(ps)
        for _ in range(2):
            optimizer.zero_grad()
            sum((p * p).sum() for p in ps).backward()
            optimizer.step()
model = tg.nn.Sequential(tg.nn.Linear(5, 7), tg.nn.ReLU(), tg.nn.Linear(7, 3)).to("cuda")
y = tg.tensor([0, 1, 2, 0], device="cuda")
tg.nn.functional.cross_entropy(model(tg.ones(4, 5, device="cuda")), y).backward()
tg.cuda.synchronize()
"""


def run(report: Report, quick: bool) -> None:
    """Note what the checker says; `quick` changes nothing."""
    tools = glob.glob("/usr/local/cuda*/bin/compute-sanitizer")
    tool = shutil.which("compute-sanitizer") or next(iter(tools), None)
    if not tool:
        report.put("compute-sanitizer", None, "not found")
        return
    command = [tool, "--tool", "memcheck", "--error-exitcode", "99", sys.executable, "-c", TINY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=75)
    lines = [line for line in done.stdout.splitlines() if "ERROR SUMMARY" in line]
    summary = "; ".join(lines) or f"exit status {done.returncode}"
    tail = done.stdout[-800:]
    report.put("compute-sanitizer memcheck", done.returncode == 0, summary, tail)
