"""Runs files one after the other, each in a fork of a process that has imported the package.

python run_blocks.py FILE.py ...: FILE.txt is what a file prints, and the last lines of its error;
FILE.err what goes to stderr, FILE.rc the exit status. Nothing of one file is left for the next, and
the package, whose import takes longer than most examples, is imported once.
"""

from __future__ import annotations

import os
import runpy
import sys
import traceback
import warnings
from pathlib import Path

import tinygrad_opt  # noqa: F401


def run(path: Path) -> None:
    """Runs the file as a script."""
    for stream, suffix in ((1, ".txt"), (2, ".err")):
        with open(path.with_suffix(suffix), "wb", 0) as file:
            os.dup2(file.fileno(), stream)
    sys.argv, sys.path[0] = [str(path)], str(path.parent)
    try:
        runpy.run_path(str(path), run_name="__main__")
    except Exception as error:
        print(*traceback.format_exception_only(error), sep="", end="")
        raise


for name in sys.argv[1:]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)  # OpenBLAS knows of forks
        child = os.fork()
    if not child:
        run(Path(name))
        break
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    Path(name).with_suffix(".rc").write_text(str(status))
