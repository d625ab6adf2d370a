"""Steps over 1e3 to 5e8 elements, against a copy on the device and PyTorch's fused kernels."""

from __future__ import annotations

import functools
import time

from benchmarks.gpu.measure import Report, device, free, torch_with_cuda

SIZES = (10**3, 10**5, 10**6, 10**7, 10**8, 5 * 10**8)
# Optimizer, settings, bytes that a step must move for each element.
KINDS = (("SGD", {}, 12), ("SGD", dict(momentum=0.9), 20), ("Adam", {}, 28), ("AdamW", {}, 28))
SECONDS = 50


def run(report: Report, quick: bool) -> None:
    """Time them; `quick` at two small sizes."""
    sizes = (10**3, 10**4) if quick else SIZES
    start = time.time()
    copied: dict[int, float] = {}
    with report.step("copies", 30):
        copied = {n: _copy(n) for n in sizes}
        rates = ", ".join(f"{n:.0e}: {8 * n / us / 1e6:.2f}" for n, us in copied.items())
        report.put("a copy on the device", None, f"{rates} TB/s")
    for n in reversed(sizes):  # the largest say most
        for name, settings, size in KINDS:
            label = f"{name}{'+momentum' if settings else ''}, {n:.0e} elements"
            if time.time() - start > SECONDS:
                report.put(label, None, "left out: no time")
                continue
            with report.step(label, 15):
                _compare(report, label, name, settings, size, n, copied.get(n, float("nan")))


def _copy(n: int) -> float:
    import cupy

    a, b = cupy.ones(n, "f4"), cupy.empty(n, "f4")
    copy = functools.partial(b.data.copy_from_device_async, a.data, a.nbytes)
    us = device(copy, calls=20 if n < 1e7 else 5)
    del a, b, copy
    free()
    return us


def _compare(report: Report, label, name, settings, size, n, copied) -> None:
    import tinygrad_opt as tg

    torch = torch_with_cuda()
    us = _time(tg, None, name, dict(lr=1e-3, **settings), n)
    note = ""
    if torch:
        theirs = _time(torch, torch, name, dict(lr=1e-3, fused=True, **settings), n)
        note = f"torch fused {theirs:.1f} us, {theirs / us:.2f} of its speed"
    share = (size * n / us) / (8 * n / copied)
    good = share >= 0.92 if n >= 10**8 and name.startswith("Adam") else None
    report.put(
        label, good, f"{us:.1f} us, {size * n / us / 1e6:.2f} TB/s, {share:.0%} of a copy", note
    )


def _time(library, torch, name, settings, n) -> float:
    p = library.ones(n, device="cuda") if torch else _filled(n, 1.0)
    p.requires_grad_()
    p.grad = library.full((n,), 1e-3, device="cuda") if torch else _filled(n, 1e-3)
    optimizer = getattr(library.optim, name)([p], **settings)
    optimizer.step()
    us = device(optimizer.step, torch, calls=20 if n < 10**7 else 3, repeats=5)
    del p, optimizer
    free()
    return us


def _filled(n, value):
    import cupy

    import tinygrad_opt as tg

    return tg.Tensor(cupy.full(n, value, "f4"))  # tg.full would fill it on the CPU
