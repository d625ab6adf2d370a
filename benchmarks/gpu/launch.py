"""What a step costs the host, and what waiting and copying cost."""

from __future__ import annotations

from benchmarks.gpu.measure import Report, free, host, torch_with_cuda, wall

SIZE = 1000
KINDS = (("SGD", {}), ("SGD", dict(momentum=0.9)), ("AdamW", {}), ("Adan", {}), ("Lion", {}))
AIM = 12.0  # microseconds of the host for a step


def run(report: Report, quick: bool) -> None:
    """Time them; `quick` with shorter vectors."""
    import cupy
    import numpy as np

    import tinygrad_opt as tg

    torch = torch_with_cuda()
    for name, settings in KINDS:
        with report.step(f"{name} {settings}", 20):
            ours = host(_step(tg, name, settings))
            note = ""
            if torch and hasattr(torch.optim, name):
                theirs = host(_step(torch, name, dict(lr=1e-3, fused=True, **settings)))
                note = f"torch fused: {theirs:.1f}"
            label = f"{name}{'+momentum' if settings else ''}.step, {SIZE} elements: host"
            report.put(label, ours <= AIM, f"{ours:.1f} us", note)
    with report.step("of a step", 20):
        p = tg.ones(SIZE, device="cuda", requires_grad=True)
        p.grad = tg.ones(SIZE, device="cuda")
        optimizer = tg.optim.AdamW([p])
        optimizer.step()
        group, run = optimizer.param_groups[0], optimizer._flat[0][0]._whole
        rule, coefficients = optimizer.rule_for(group), optimizer.coefficients(group, 2)
        launched = host(lambda: rule.launch(run.arrays, coefficients))
        report.put("AdamW, of it the launch", None, f"{launched:.1f} us")
        x = run.arrays[0]
        calls = (lambda: x + 1, lambda: cupy.where(x > 0, x, 0), lambda: x.sum())
        times = " / ".join(f"{host(call):.1f}" for call in calls)
        report.put("CuPy: x + 1 / where / sum", None, f"{times} us")
    with report.step("reductions", 20):
        big = cupy.ones(1 << (12 if quick else 27), "f4")
        from tinygrad_opt import kernels

        for what in ("norm", "dot"):
            args = (big,) if what == "norm" else (big, big)
            us = wall(lambda args=args, what=what: getattr(kernels, what)(*args), 5)
            report.put(f"{what} of {big.size} elements", None, f"{us:.0f} us",
                       f"{4 * big.size * len(args) / us / 1e6:.2f} TB/s")  # fmt: skip
        del big, args
        free()
    with report.step("waits and copies", 20):
        one, small = cupy.ones(()), np.ones(9, np.float32)
        report.put("one wait: float(a)", None, f"{wall(lambda: float(one), 200):.1f} us")
        report.put("36 bytes to the GPU", None, f"{wall(lambda: cupy.asarray(small), 200):.1f} us")
        x = tg.ones(1 << 20, device="cuda")
        us = wall(lambda: tg.nn.functional.dropout(x, 0.1), 3)
        report.put("dropout of 1 Mi elements", None, f"{us:.0f} us", "drawn on the CPU")


def _step(library, name, settings):
    p = library.ones(SIZE, device="cuda", requires_grad=True)
    p.grad = library.ones(SIZE, device="cuda")
    optimizer = getattr(library.optim, name)([p], **settings)
    optimizer.step()
    return optimizer.step
