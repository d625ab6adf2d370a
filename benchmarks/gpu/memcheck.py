"""Update kernels and a small network under compute-sanitizer, where that is installed."""

from __future__ import annotations

import glob
import re
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
    command = [
        tool, "--tool", "memcheck", "--error-exitcode", "99",
        "--report-api-errors", "no",  # libraries ask the driver for functions it may not have
        sys.executable, "-c", TINY,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=75)
    lines = [line.removeprefix("=========").strip() for line in done.stdout.splitlines()]
    summary = "; ".join(line for line in lines if "ERROR SUMMARY" in line)
    report.put("compute-sanitizer memcheck", done.returncode == 0,
               summary or f"exit status {done.returncode}", done.stdout[-800:])  # fmt: skip
    for kind, found in _by_kind(lines).items():
        frames = [line for line in found[0] if "in " in line and "Host Frame" in line]
        ours = " < ".join(line.removeprefix("Host Frame:").strip() for line in frames[:12])
        report.put(f"{len(found)} of", False, kind, f"{found[0][:6]} ... {ours}")


def _by_kind(lines: list[str]) -> dict[str, list[list[str]]]:
    """The errors, each as its lines, by their first line without numbers that differ."""
    errors: dict[str, list[list[str]]] = {}
    for line in lines:
        if re.match(r"(Program hit|Invalid|Out-of-range|Misaligned|Unknown|Leaked|Race)", line):
            errors.setdefault(re.sub(r"0x[0-9a-f]+", "0x...", line), []).append([])
            last = errors[re.sub(r"0x[0-9a-f]+", "0x...", line)][-1]
        elif errors:
            last.append(line)
    return errors
