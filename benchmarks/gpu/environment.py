"""Versions, the card, and how long the first use of each thing takes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib import metadata

from benchmarks.gpu.measure import Report, wait

PACKAGES = (
    "numpy", "numba", "numba-cuda", "llvmlite", "cupy-cuda13x", "cupy-cuda12x", "cuda-core",
    "cuda-bindings", "torch", "jax", "scipy", "pytest", "pytest-xdist",
)  # fmt: skip
AGAIN = """
import time
import tinygrad_opt as tg
p = tg.ones(9, device="cuda", requires_grad=True)
p.grad = tg.ones(9, device="cuda")
optimizer = tg.optim.AdamW([p])
tg.cuda.synchronize()
start = time.perf_counter()
import tinygrad_opt.kernels.compiler.cuda
imported = time.perf_counter()
optimizer.rule_for(optimizer.param_groups[0]).device_kernel("float32")
loaded = time.perf_counter()
optimizer.step()
tg.cuda.synchronize()
end = time.perf_counter()
print(f"{end - start:.2f} s, of it {imported - start:.2f} the import of numba-cuda, "
      f"{loaded - imported:.2f} the kernel's file")
"""
CARD = "name,driver_version,memory.total,clocks.sm,clocks.max.sm"


def run(report: Report, quick: bool) -> None:
    """Note them; `quick` changes nothing here."""
    versions = [f"Python {sys.version.split()[0]}"]
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    report.put("versions", None, ", ".join(versions))
    report.put("CUDA_HOME", None, os.environ.get("CUDA_HOME", "not set"))
    with report.step("nvidia-smi", 20):
        command = ["nvidia-smi", f"--query-gpu={CARD}", "--format=csv,noheader"]
        report.put(
            "nvidia-smi", None, subprocess.run(command, capture_output=True, text=True).stdout
        )
    with report.step("import", 40):
        seconds = _seconds(lambda: __import__("tinygrad_opt"))
        import tinygrad_opt as tg

        report.put("import tinygrad_opt", tg.cuda.is_available(), f"{seconds:.2f} s",
                   f"{tg.cuda.device_count()} GPU")  # fmt: skip
    with report.step("device", 20):
        import cupy

        card = cupy.cuda.runtime.getDeviceProperties(0)
        report.put("device", None, f"{card['name'].decode()}, {card['multiProcessorCount']} "
                   f"multiprocessors, {card['totalGlobalMem'] / 2**30:.0f} GiB, driver "
                   f"{cupy.cuda.runtime.driverGetVersion()}")  # fmt: skip
    with report.step("first use", 60):
        _first_use(report, tg)


def _first_use(report: Report, tg) -> None:
    p = tg.ones(1000, device="cuda", requires_grad=True)
    seconds = _seconds(lambda: (p * p).sum().backward())
    report.put("first forward and backward", True, f"{seconds:.2f} s", "NVRTC compiles for CuPy")
    for name in ("SGD", "AdamW", "Lion"):
        optimizer = getattr(tg.optim, name)([p])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            seconds = _seconds(optimizer.step)
        said = sorted({f"{w.category.__name__}: {w.message}"[:160] for w in caught})
        report.put(f"first step of {name}", not said, f"{seconds:.2f} s", "; ".join(said))
    from tinygrad_opt.kernels.compiler import cuda

    ways = {"numba-cuda" if packed is None else "the driver" for packed in cuda._packed.values()}
    report.put("kernels are launched by", ways == {"the driver"}, ", ".join(ways))
    done = subprocess.run([sys.executable, "-c", AGAIN], capture_output=True, text=True)
    report.put("first step of AdamW, second process", done.returncode == 0, done.stdout,
               done.stderr[-300:])  # fmt: skip


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    if "cupy" in sys.modules:
        wait()
    return time.perf_counter() - start
