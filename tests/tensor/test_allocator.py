"""Freed memory stays with the process, unless the user has said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource
import tinygrad_opt
import numpy as np

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def step():
    return [np.ones(250_000) for _ in range(4)]  # 8 MB, freed on return

step()
before = faults()
for _ in range(20):
    step()
print(faults() - before)
"""


def faults(**variables):
    """Page faults of 20 rounds of allocating and freeing 8 MB, in a process of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], env=clean | variables, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator only")
def test_freed_memory_is_used_again():
    # 8 MB are about 2,000 pages; returned and fetched again 20 times they would be 40,000 faults.
    assert faults() < 4000 < faults(TINYGRAD_OPT_MALLOC="default")


@pytest.mark.parametrize(
    "name", ["TINYGRAD_OPT_MALLOC", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_",
             "GLIBC_TUNABLES"]
)  # fmt: skip
def test_the_users_own_choice_stands(name, monkeypatch):
    from tinygrad_opt.arrays.allocator import keep_freed_memory

    values = {"TINYGRAD_OPT_MALLOC": "default", "GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}
    monkeypatch.setenv(name, values.get(name, "131072"))
    assert keep_freed_memory() is False
