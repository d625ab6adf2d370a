"""What the parts share: records of what they find, and clocks for host and device."""

from __future__ import annotations

import contextlib
import gc
import glob
import json
import math
import os
import shutil
import signal
import statistics
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


class Report:
    """Records, each written as soon as it is made."""

    def __init__(self, part: str, found: str) -> None:
        self.part, self.found = part, found

    def put(self, name: str, ok: bool | None, value: object = "", note: str = "") -> None:
        """Note one finding: `ok` True, False, or None for a number that is neither."""
        record = {"part": self.part, "name": name, "ok": None if ok is None else bool(ok),
                  "value": str(value)[:400], "note": str(note)[-1500:]}  # fmt: skip
        if self.found:
            with open(self.found, "a") as file:
                file.write(json.dumps(record) + "\n")
        print(record, flush=True)

    @contextlib.contextmanager
    def step(self, name: str, cap: float = 600.0) -> Iterator[None]:
        """Whatever goes wrong inside is a finding; after `cap` seconds it is interrupted."""

        def late(*_: object) -> None:
            raise TimeoutError(f"over its cap of {cap} s")

        before = signal.signal(signal.SIGALRM, late)
        rest = signal.getitimer(signal.ITIMER_REAL)[0]
        signal.setitimer(signal.ITIMER_REAL, cap)
        try:
            yield
        except Exception as error:
            ours = [
                f for f in traceback.extract_tb(error.__traceback__) if "benchmarks" not in f[0]
            ]
            at = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
            text = f"{type(error).__name__}: {error}"[:330] + at
            self.put(name, False, text, traceback.format_exc())
        finally:
            signal.signal(signal.SIGALRM, before)
            signal.setitimer(signal.ITIMER_REAL, rest)


def prepare() -> None:
    """Find libNVVM, which numba-cuda needs: in a wheel, or in the toolkit that CUDA_HOME names."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    if os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH"):
        return
    for base in sys.path:
        if base and glob.glob(
            os.path.join(base, "nvidia", "*", "**", "libnvvm.so*"), recursive=True
        ):
            return
    nvcc = shutil.which("nvcc")
    homes = [os.path.dirname(os.path.dirname(os.path.realpath(nvcc)))] if nvcc else []
    for home in [*homes, *sorted(glob.glob("/usr/local/cuda*"), reverse=True), "/opt/cuda"]:
        if glob.glob(os.path.join(home, "nvvm", "lib*", "libnvvm.so*")):
            os.environ["CUDA_HOME"] = home
            return


def torch_with_cuda() -> Any:
    """PyTorch, if it is installed and sees the GPU; else None."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def wait() -> None:
    """Wait until the device has done all that was asked of it, by whichever library."""
    import cupy

    cupy.cuda.runtime.deviceSynchronize()


def free() -> None:
    """Give memory back that CuPy and PyTorch keep."""
    import cupy

    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    if "torch" in sys.modules:
        sys.modules["torch"].cuda.empty_cache()


def host(call: Callable[[], object], calls: int = 300, repeats: int = 3) -> float:
    """Microseconds that a call takes before it returns: the queue is deep enough not to wait."""
    call()
    best = math.inf
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, (time.perf_counter() - start) / calls * 1e6)
    wait()
    return best


def wall(call: Callable[[], object], calls: int = 20, repeats: int = 3) -> float:
    """Microseconds of a call, host and device together."""
    call()
    wait()
    best = math.inf
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        wait()
        best = min(best, (time.perf_counter() - start) / calls * 1e6)
    return best


def device(
    call: Callable[[], object], torch: Any = None, calls: int = 5, repeats: int = 7
) -> float:
    """Microseconds of the device for a call, by events on CuPy's stream or on PyTorch's."""
    import cupy

    if torch is None:
        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    else:
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in "12")
    call()
    call()
    times = []
    for _ in range(repeats):
        start.record()
        for _ in range(calls):
            call()
        stop.record()
        stop.synchronize()
        spent = start.elapsed_time(stop) if torch else cupy.cuda.get_elapsed_time(start, stop)
        times.append(spent * 1e3 / calls)
    return statistics.median(times)
