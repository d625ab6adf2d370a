"""Runs files, each in a fork of a process that has imported the package.

The path of a file comes on each line of stdin; FILE.txt is what it prints, with the last lines of
its error, FILE.err what goes to stderr; a line of stdout is its exit status. Nothing of one file is
left for the next, and what takes longer than most examples, imports, is done once.
"""

from __future__ import annotations

import atexit
import gc
import os
import runpy
import sys
import traceback
import warnings
from pathlib import Path
from typing import NoReturn

from numba.core.registry import cpu_target

import tinygrad_opt  # noqa: F401


def run(path: Path) -> NoReturn:
    """Runs the file as a script, in its folder; the process ends."""
    for stream, suffix in ((1, ".txt"), (2, ".err")):
        with open(path.with_suffix(suffix), "wb", 0) as file:
            os.dup2(file.fileno(), stream)
    os.chdir(path.parent)
    sys.argv, sys.path[0] = [str(path)], str(path.parent)
    try:
        runpy.run_path(str(path), run_name="__main__")
        status = 0
    except Exception as error:
        print(*traceback.format_exception_only(error), sep="", end="")
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # taking all modules apart takes longer than most examples


# What Numba does before a process's first kernel: half a second.
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()

gc.freeze()  # so that a fork's collector leaves the pages alone that it shares

while name := sys.stdin.readline().strip():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # OpenBLAS knows of forks
        child = os.fork()
    if not child:
        run(Path(name))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
