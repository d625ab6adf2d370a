"""`scheduler.step()` of every class, against PyTorch's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module

from benchmarks.harness import Effort, compare, report, table, verdict

AIM = 3.0  # microseconds
LONG = 10**9  # steps: no schedule may come to its end while it is timed
SLOW = 1 - 1e-9

# Class: settings. A list holds the schedulers inside, each with its settings.
SCHEDULERS = {
    "LambdaLR": {"lr_lambda": lambda epoch: 1.0 / (1 + epoch)},
    "MultiplicativeLR": {"lr_lambda": lambda epoch: SLOW},
    "ConstantLR": {"total_iters": LONG},
    "LinearLR": {"total_iters": LONG},
    "StepLR": {"step_size": 30, "gamma": SLOW},
    "MultiStepLR": {"milestones": [30, 80, LONG]},
    "ExponentialLR": {"gamma": SLOW},
    "PolynomialLR": {"total_iters": LONG, "power": 2.0},
    "CosineAnnealingLR": {"T_max": 10**4},
    "CosineAnnealingWarmRestarts": {"T_0": 10, "T_mult": 2},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.1},
    "OneCycleLR": {"max_lr": 0.1, "total_steps": LONG},
    "ReduceLROnPlateau": {},
    "SWALR": {"swa_lr": 0.05, "anneal_epochs": LONG},
    "SequentialLR": ["LinearLR", "CosineAnnealingLR"],
    "ChainedScheduler": ["ConstantLR", "ExponentialLR"],
    "FixedLR": {},
    "ExponentialDecayLR": {"decay_rate": 1e-9},
    "TimeDecayLR": {"decay_rate": 1e-3},
    "CosineRestartsLR": {"T_0": 10, "T_mult": 1.5},
    "WarmupCosineLR": {"warmup_steps": 10, "total_steps": LONG},
    "WarmupStableDecayLR": {"warmup_steps": 10, "stable_steps": 10, "decay_steps": LONG},
    "InverseSqrtLR": {"warmup_steps": 10},
}


def prepare(library: str, case: str) -> Callable | None:
    """Return one step of a scheduler, on an optimizer with one group, or None where it is ours."""
    torch = import_module("tinygrad_opt" if library == "ours" else "torch")
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    optimizer.step()
    scheduler = build(torch, case, optimizer)
    if scheduler is None:
        return None
    optimizer.step()
    if case == "ReduceLROnPlateau":
        return lambda: scheduler.step(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the order of calls
        scheduler.step()
    return scheduler.step


def build(torch, name: str, optimizer) -> object:
    """Return the scheduler of a library, None where it has none of that name."""
    module = "swa_utils" if name == "SWALR" else "lr_scheduler"
    where = import_module(f"{torch.__name__}.optim.{module}")
    make, settings = getattr(where, name, None), SCHEDULERS[name]
    if make is None or isinstance(settings, dict):
        return make and make(optimizer, **settings)
    parts = [build(torch, part, optimizer) for part in settings]
    return make(parts) if name == "ChainedScheduler" else make(optimizer, parts, [5])


def main(effort: Effort) -> None:
    """Time every class and report."""
    results = compare("scheduler_step", ["ours", "torch"], list(SCHEDULERS), effort)
    rows = []
    for name, times in zip(SCHEDULERS, results, strict=True):
        ours = times.micro("ours")
        peer = (
            (f"{times.micro('torch'):.2f}", f"{times.ratio('ours', 'torch'):.2f}")
            if "torch" in times
            else ("", "")
        )
        rows.append([name, f"{ours:.2f}", *peer, *verdict(ours, AIM)])
    report(
        "scheduler_step",
        effort,
        "# One scheduler step",
        "Microseconds for one `scheduler.step()` on one parameter group, momentum cycled where the "
        "class does so. SequentialLR is timed in its second part, ChainedScheduler with "
        f"{' and '.join(SCHEDULERS['ChainedScheduler'])} inside.",
        table(["class", "ours", "torch", "ours / torch", "aim", "met"], rows),
    )
