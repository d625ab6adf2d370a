"""Whole training steps by `cuda.make_graphed`: right, and how fast beside PyTorch's graphs."""

from __future__ import annotations

from typing import Any

from benchmarks.gpu.measure import Report, free, host, wall
from benchmarks.gpu.networks import Network, _graphed, _training, each

SECONDS = 70
OPTIMIZERS = {
    "SGD": {}, "SGD+momentum": dict(momentum=0.9), "Adam": {}, "AdamW": dict(weight_decay=0.1),
}  # fmt: skip


def run(report: Report, quick: bool) -> None:
    """Hold replays to eager steps, and time them; `quick` the first network alone."""
    for name, settings in OPTIMIZERS.items():
        with report.step(f"{name} with a schedule, clipping and dropout", 20):
            _steps(report, name, settings)
    with report.step("what is refused", 20):
        _refusals(report)
    each(report, quick, SECONDS, _compare)


def _steps(report: Report, name: str, settings: dict[str, Any]) -> None:
    """30 calls, whose losses must be those of 30 eager steps."""
    import numpy as np

    import tinygrad_opt as tg

    rng, ends, notes = np.random.default_rng(0), [], None
    batches = [rng.standard_normal((64, 32)).astype("f4") for _ in range(30)]
    classes = rng.integers(0, 10, 64)
    for graphed in (False, True):
        tg.manual_seed(0)
        model = tg.nn.Sequential(
            tg.nn.Linear(32, 64), tg.nn.ReLU(), tg.nn.Dropout(0.2), tg.nn.Linear(64, 10)
        ).to("cuda")
        groups = tg.optim.param_groups_weight_decay(model, settings.get("weight_decay", 0.0))
        rest = {k: v for k, v in settings.items() if k != "weight_decay"}
        optimizer = getattr(tg.optim, name.partition("+")[0])(groups, lr=0.01, **rest)
        scheduler = tg.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=40)
        y = tg.tensor(classes, device="cuda")

        def step(x: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = tg.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            tg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            return loss

        call = tg.cuda.make_graphed(step, y) if graphed else step
        losses = []
        for batch in batches:
            losses.append(call(tg.tensor(batch, device="cuda"), y))
            scheduler.step()
        ends.append([float(loss) for loss in losses])
        notes = getattr(call, "notes", None)
    error = float(np.abs(np.subtract(*ends)).max())
    title = f"{name} with a schedule, clipping and dropout"
    report.put(title, error < 1e-3 and notes == [], f"losses differ by {error:.1e} at most",
               f"to {ends[1][-1]:.4f}; {notes}")  # fmt: skip


def _refusals(report: Report) -> None:
    """What CuPy says in a capture must be understood."""
    import tinygrad_opt as tg

    w, square = tg.ones(4, device="cuda", requires_grad=True), tg.eye(4, device="cuda")
    steps = {
        "a wait": lambda: (w * 2).sum().item(),
        "a wait in an operation": lambda: w.detach()[w.detach() > 0].sum(),
        "an upload": lambda: (w * tg.tensor([1.0, 2, 3, 4], device="cuda")).detach(),
        "another library": lambda: tg.linalg.cholesky(square),
    }
    for name, step in steps.items():
        call, said = tg.cuda.make_graphed(step), "captured"
        try:
            for _ in range(3):
                call()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        report.put(f"refused: {name}", said.startswith("CaptureError"), said)


def _compare(report: Report, name: str, network: Network, torch: Any) -> None:
    import tinygrad_opt as tg

    eager = _training(tg, network, {})
    expected = [float(eager()) for _ in range(12)]
    step = tg.cuda.make_graphed(_training(tg, network, {}))
    losses = [float(step()) for _ in range(12)]
    error = max(abs(a - b) / max(abs(b), 1e-3) for a, b in zip(losses, expected, strict=True))
    good = error < 0.02 and not step.notes  # rounding grows: sums by atomics, another algorithm
    before, ours, of_host = wall(eager, 10, 2), wall(step, 30, 2), host(step, 30, 2)
    note = f"host {of_host / 1e3:.3f} ms; eager {before / 1e3:.2f} ms; losses within {error:.0e}"
    note += f"; {step.notes}" if step.notes else ""
    del step, eager
    free()
    if torch:
        theirs = _graphed(torch, _training(torch, network, dict(fused=True, capturable=True)))
        note += f"; torch's graph {theirs} ms"
        if network.aim and theirs.replace(".", "").isdigit():
            good = good and ours / 1e3 <= float(theirs) * 1.02
        free()
    report.put(f"{name}, graphed", good, f"{ours / 1e3:.3f} ms", note)
