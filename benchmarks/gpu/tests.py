"""The project's device tests, tests/simulator, on the GPU."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks.gpu.measure import Report

ROOT = Path(__file__).parents[2]


def run(report: Report, quick: bool) -> None:
    """Run tests/simulator; with `quick` two files of it."""
    tests = ["tests/simulator"]
    if quick:
        tests = [f"tests/simulator/test_{n}_on_device.py" for n in ("writes", "interchange")]
    # What other libraries warn of is counted, not counted against the tests.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:benchmark",
               "-W", "default", "--tb=line", *tests]  # fmt: skip
    if importlib.util.find_spec("xdist"):
        command += ["-n", "2" if quick else "10"]
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # JAX takes all it gets
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, env=environment)  # fmt: skip
    try:
        out, _ = process.communicate(timeout=88)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # pytest says what failed until then
        try:
            out, _ = process.communicate(timeout=12)
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        out += "\nstopped: out of time"
    with contextlib.suppress(OSError):
        Path(sys.argv[sys.argv.index("--out") + 1], "gpu_tests.log").write_text(out)
    ends = [
        line for line in out.splitlines() if re.search(r"\d (passed|failed|error)|stopped", line)
    ]
    report.put(
        "device tests", process.returncode == 0, ends[-1] if ends else out[-300:], out[-900:]
    )
    for line in re.findall(r"^(?:FAILED|ERROR) (\S.*)$", out, re.MULTILINE)[:30]:
        report.put("device test", False, line)
