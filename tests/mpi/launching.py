"""Starting programs of several processes, with the MPI that is installed."""

import functools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
LIMIT = 240  # seconds that a launch may take


@functools.cache
def mpiexec():
    """The launcher beside this Python, or on PATH, with what it needs in a container."""
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        return None
    said = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
    if "Open MPI" in said or "PRRTE" in said:
        return [found, "--allow-run-as-root", "--oversubscribe"]
    return [found]


def start(processes, script, *arguments, **environment):
    """A running program of so many processes, its two outputs as one."""
    command = [*mpiexec(), "-n", str(processes), sys.executable, "-u", HERE / script, *arguments]
    root = str(HERE.parents[1])
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": root, **environment},
    )  # fmt: skip


def run(processes, script, *arguments, **environment):
    """(exit status, output, seconds) of a program."""
    begin = time.monotonic()
    process = start(processes, script, *arguments, **environment)
    try:
        output, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += f"\n(still running after {LIMIT} s)"
    return process.returncode, output, time.monotonic() - begin
