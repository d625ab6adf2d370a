"""What graphs of whole steps will rest on: captures of kernels, of cuBLAS, of coefficients."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from benchmarks.gpu.measure import Report, device, host, wall


def run(report: Report, quick: bool) -> None:
    """Capture and replay; `quick` with fewer elements."""
    with report.step("step of SGD", 20):
        _captured_step(report)
    with report.step("cuBLAS by CuPy", 15):
        _refusals(report)
    with report.step("cuBLAS by an own handle", 20):
        _cublas(report)
    with report.step("coefficients in device memory", 25):
        _coefficients(report, 1 << (12 if quick else 24))


def capture(call: Callable[[], Any], stream: Any) -> tuple[Any, Any]:
    """The graph of what `call` asks of the device, and what it returned."""
    stream.synchronize()
    stream.begin_capture()
    try:
        kept = call()
    finally:
        graph = stream.end_capture()
    return graph, kept


def _captured_step(report: Report) -> None:
    """Replays of an element-wise model with SGD equal eager steps."""
    import cupy
    import numpy as np

    import tinygrad_opt as tg

    ends = []
    for graphed in (False, True):
        tg.manual_seed(0)
        w = tg.randn(4096).to("cuda").requires_grad_()
        x, y = tg.randn(4096).to("cuda"), tg.randn(4096).to("cuda")
        optimizer = tg.optim.SGD([w], lr=0.1)

        def step(w=w, x=x, y=y, optimizer=optimizer):
            optimizer.zero_grad()
            loss = ((w * x - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        stream, pool = cupy.cuda.Stream(non_blocking=True), cupy.cuda.MemoryPool()
        with stream:
            for _ in range(3):
                step()
            if graphed:
                with cupy.cuda.using_allocator(pool.malloc):
                    graph, _kept = capture(step, stream)
                for _ in range(5):
                    graph.launch(stream)
            else:
                for _ in range(5):
                    step()
            stream.synchronize()
            ends.append(host_values(w))
            again = functools.partial(graph.launch, stream) if graphed else step
            times = wall(again, 30)
        report.put(f"step of SGD, {'replayed' if graphed else 'eager'}", None, f"{times:.1f} us")
        del step
    same = bool(np.allclose(*ends, rtol=1e-5, atol=1e-6))
    report.put("replays of SGD equal eager steps", same)


def host_values(w: Any) -> Any:
    """A tensor's values on the CPU."""
    return w.detach().cpu().numpy()


def _refusals(report: Report) -> None:
    """What CuPy says of a matrix product in a capture."""
    import cupy

    a, stream = cupy.ones((16, 16), "f4"), cupy.cuda.Stream(non_blocking=True)
    with stream:
        a @ a
        try:
            capture(lambda: a @ a, stream)
            said = "captured"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
    report.put("a matrix product by CuPy", None, said)


def _cublas(report: Report) -> None:
    """An own handle of cuBLAS, with its own workspace, can be captured."""
    import cupy

    n = 64
    a, b = cupy.ones((n, n), "f4"), cupy.eye(n, dtype="f4") * 2
    a @ b  # CuPy loads the library
    with open("/proc/self/maps") as maps:
        library = ctypes.CDLL(sorted({m.split()[-1] for m in maps if "libcublas.so" in m})[0])
    handle, workspace = ctypes.c_void_p(), cupy.empty(32 << 20, "u1")

    def check(status: int) -> None:
        if status:
            raise RuntimeError(f"cuBLAS status {status}")

    check(library.cublasCreate_v2(ctypes.byref(handle)))
    stream = cupy.cuda.Stream(non_blocking=True)
    check(library.cublasSetStream_v2(handle, ctypes.c_void_p(stream.ptr)))
    size = ctypes.c_size_t(workspace.nbytes)
    check(library.cublasSetWorkspace_v2(handle, ctypes.c_void_p(workspace.data.ptr), size))
    one, zero, c = ctypes.c_float(1), ctypes.c_float(0), cupy.zeros((n, n), "f4")

    def product() -> None:
        pa, pb, pc = (ctypes.c_void_p(x.data.ptr) for x in (a, b, c))
        check(library.cublasSgemm_v2(handle, 0, 0, n, n, n, ctypes.byref(one), pb, n, pa, n,
                                     ctypes.byref(zero), pc, n))  # fmt: skip

    with stream:
        product()
        graph, _ = capture(product, stream)
        a *= 3
        c.fill(0)
        graph.launch(stream)
        stream.synchronize()
    report.put("cuBLAS by an own handle", bool(cupy.allclose(c, a @ b)),
               f"host {host(product, 200):.1f} us a product",
               f"CuPy's {host(lambda: a @ b, 200):.1f} us")  # fmt: skip


def _coefficients(report: Report, n: int) -> None:
    """A step whose coefficients lie in device memory, written anew before each replay."""
    import cupy
    import numpy as np

    kernel = cupy.ElementwiseKernel(
        "T g, raw T c", "T p, T m, T v",
        "m += c[0] * (g - m); v += c[1] * (g * g - v); p -= c[2] * m / (sqrt(v) * c[3] + c[4])",
        "adam_from_memory",
    )  # fmt: skip
    p, m, v = cupy.ones(n, "f4"), cupy.zeros(n, "f4"), cupy.zeros(n, "f4")
    g, c = cupy.full(n, 0.5, "f4"), cupy.zeros(5, "f4")
    pinned = cupy.cuda.alloc_pinned_memory(20)
    numbers = np.frombuffer(pinned, np.float32, 5)
    stream = cupy.cuda.Stream(non_blocking=True)

    def coefficients(t: int) -> list[float]:
        return [0.1, 0.001, 1e-3 / (1 - 0.9**t), (1 - 0.999**t) ** -0.5, 1e-8]

    with stream:
        c[...] = cupy.asarray(np.float32([0, 0, 0, 1, 1]))
        kernel(g, c, p, m, v)
        graph, _ = capture(lambda: kernel(g, c, p, m, v), stream)
        for t in range(1, 11):
            stream.synchronize()  # or a ring of buffers
            numbers[:] = coefficients(t)
            c.set(numbers, stream)
            graph.launch(stream)
        stream.synchronize()
        us = device(lambda: graph.launch(stream))
    p0, m0, v0 = 1.0, 0.0, 0.0
    got = None
    for t in range(1, 11):
        k = coefficients(t)
        m0 += k[0] * (0.5 - m0)
        v0 += k[1] * (0.25 - v0)
        p0 -= k[2] * m0 / (v0**0.5 * k[3] + k[4])
    got = float(p[-1])
    report.put("a graph with coefficients in device memory", None, f"{got:.6f} for {p0:.6f}",
               f"{us:.1f} us for {n} elements, {28 * n / us / 1e6:.2f} TB/s")  # fmt: skip
