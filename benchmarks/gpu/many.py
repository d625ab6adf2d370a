"""A thousand small tensors: steps, clipping, and optimizers that reduce before they step."""

from __future__ import annotations

from benchmarks.gpu.measure import Report, host, torch_with_cuda, wall


def run(report: Report, quick: bool) -> None:
    """Time them; `quick` with fifty tensors."""
    import tinygrad_opt as tg

    count, torch = 50 if quick else 1000, torch_with_cuda()
    with report.step("AdamW", 25):
        ps, optimizer = _made(tg, "AdamW", [(1000,)] * count, {})
        us, note = wall(optimizer.step, 20), ""
        if torch:
            other = _made(torch, "AdamW", [(1000,)] * count, dict(fused=True))[1]
            theirs = wall(other.step, 20)
            note = f"torch fused {theirs:.0f} us: {us / theirs:.2f} of its time"
        report.put(f"{count} tensors of 1,000: AdamW.step", us <= theirs / 2 if torch else None,
                   f"{us:.0f} us", note)  # fmt: skip
        clip = tg.nn.utils.clip_grad_norm_
        us = wall(lambda: clip(ps, 1.0), 10)
        note = ""
        if torch:
            others = other.param_groups[0]["params"]
            note = f"torch {wall(lambda: torch.nn.utils.clip_grad_norm_(others, 1.0), 10):.0f} us"
        report.put(f"{count} tensors: clip_grad_norm_", None, f"{us:.0f} us", note)
    for name in ("LAMB", "LARS", "Adafactor", "Muon", "Prodigy"):
        with report.step(name, 20):
            _, optimizer = _made(tg, name, [(10, 10)] * (count // 10), {})
            us, ours = wall(optimizer.step, 2, 2), host(optimizer.step, 2, 2)
            report.put(f"{count // 10} tensors: {name}.step", None, f"{us / 1e3:.2f} ms",
                       f"host {ours / 1e3:.2f} ms")  # fmt: skip


def _made(library, name, shapes, settings):
    ps = [library.ones(*shape, device="cuda", requires_grad=True) for shape in shapes]
    for p in ps:
        p.grad = library.ones(*p.shape, device="cuda")
    optimizer = getattr(library.optim, name)(ps, **settings)
    optimizer.step()
    return ps, optimizer
