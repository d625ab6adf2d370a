"""From the source of an update rule to kernels: read, check, write, compile, cache."""

import re

import numba

OLDEST_NUMBA = "0.62"


def check_numba(version: str) -> None:
    """Raise ImportError for a Numba whose LLVM ends the process at the first kernel."""
    if [*map(int, re.findall(r"\d+", version)[:2])] < [*map(int, OLDEST_NUMBA.split("."))]:
        raise ImportError(
            f"tinygrad_opt needs Numba {OLDEST_NUMBA} or newer, and this environment "
            f"has {version}; pip install --upgrade numba"
        )


check_numba(numba.__version__)
