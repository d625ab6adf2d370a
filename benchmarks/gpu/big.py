"""More than 2^31 elements, beyond which 32-bit indices fail."""

from __future__ import annotations

import math

from benchmarks.gpu.measure import Report, free, wait

SIZE = 2**31 + 1001


def run(report: Report, quick: bool) -> None:
    """Two steps of SGD with momentum, a norm and an operation; `quick` with fewer elements."""
    import cupy

    import tinygrad_opt as tg
    from tinygrad_opt import kernels

    n = (1 << 16) + 5 if quick else SIZE
    unused, _ = cupy.cuda.runtime.memGetInfo()
    if unused < 7.5 * 4 * n:
        report.put(f"{n} elements", None, f"left out: only {unused / 2**30:.0f} GiB are free")
        return
    p = tg.Tensor(cupy.ones(n, "f4")).requires_grad_()
    p.grad = tg.Tensor(cupy.full(n, 0.5, "f4"))
    optimizer = tg.optim.SGD([p], lr=0.5, momentum=0.9)
    for _ in range(2):
        optimizer.step()
    wait()
    expected = 1 - 0.25 - 0.5 * (0.9 * 0.5 + 0.5)
    ends = [float(p.array[k]) for k in (0, n // 2, min(2**31, n - 2), n - 1)]
    good = all(abs(x - expected) < 1e-6 for x in ends)
    report.put(f"SGD with momentum, {n} elements", good, ends, f"expected {expected:.6f}")
    norm = kernels.norm(p.array) / (expected * math.sqrt(n))
    report.put("the norm of as many", abs(norm - 1) < 1e-6, f"{norm:.9f} of what it is")
    tail = (p.detach() * 2)[-1000:].sum().item()
    report.put("an operation over as many", abs(tail - 2000 * expected) < 1e-2, tail)
    free()
