"""SCHEDULERS: every public scheduler with the settings it is tested in; and what tests share.

A case is plain data, (class name, settings), in which a composition holds cases in its turn.
`build` makes it with our classes or with PyTorch's.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

import tinygrad_opt
from tinygrad_opt import optim
from tinygrad_opt.optim import lr_scheduler, schedules


def inverse_root(epoch):
    return (1 + epoch) ** -0.5


def shrinking(epoch):
    return 1 - 0.3 / (1 + epoch)


class Power:
    """A callable object, whose attributes a state dict can hold."""

    def __init__(self, base):
        self.base = base

    def __call__(self, epoch):
        return self.base**epoch


WARM = ("LinearLR", {"start_factor": 0.1, "total_iters": 7})
HOLD = ("ConstantLR", {"factor": 0.5, "total_iters": 3})
FALL = ("ExponentialLR", {"gamma": 0.97})
WAVE = ("CosineAnnealingLR", {"T_max": 40, "eta_min": 1e-3})

# PyTorch has these too.
SCHEDULERS: dict[str, list[dict[str, Any]]] = {
    "LambdaLR": [{"lr_lambda": inverse_root}, {"lr_lambda": Power(0.999)}],
    "MultiplicativeLR": [{"lr_lambda": shrinking}, {"lr_lambda": Power(0.9999)}],
    "ConstantLR": [{}, {"factor": 0.7, "total_iters": 40}, {"factor": 1.0}],
    "LinearLR": [
        {},
        {"start_factor": 0.01, "total_iters": 1000},
        {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 30},
        {"start_factor": 0.5, "end_factor": 0, "total_iters": 20},
    ],
    "StepLR": [
        {"step_size": 1000},
        {"step_size": 7, "gamma": 0.9},
        {"step_size": 1, "gamma": 1.01},
    ],
    "MultiStepLR": [
        {"milestones": [30, 80]},
        {"milestones": [5, 3, 5, 5000], "gamma": 0.5},
        {"milestones": []},
    ],
    "ExponentialLR": [{"gamma": 0.999}, {"gamma": 0.95}, {"gamma": 1.001}, {"gamma": 1}],
    "PolynomialLR": [{}, {"total_iters": 9000, "power": 2.0}, {"total_iters": 50, "power": 0.5}],
    "CosineAnnealingLR": [{"T_max": 10_000, "eta_min": 1e-4}, {"T_max": 3333}, {"T_max": 30}],
    "CosineAnnealingWarmRestarts": [
        {"T_0": 10},
        {"T_0": 7, "T_mult": 2, "eta_min": 1e-3},
        {"T_0": 1, "T_mult": 5},
    ],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 500},
        {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 4, "step_size_down": 12},
        {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 700, "mode": "triangular2"},
        {
            "base_lr": 0.05,
            "max_lr": 0.1,
            "step_size_up": 30,
            "mode": "exp_range",
            "gamma": 0.999,
            "cycle_momentum": False,
        },
        {
            "base_lr": 0.05,
            "max_lr": 0.1,
            "step_size_up": 3,
            "scale_fn": Power(0.9),
            "base_momentum": 0.5,
            "max_momentum": 0.8,
        },
        {
            "base_lr": 0.05,
            "max_lr": 0.1,
            "step_size_up": 3,
            "scale_fn": inverse_root,
            "scale_mode": "iterations",
        },
    ],
    "OneCycleLR": [
        {"max_lr": 0.5, "total_steps": 10_000},
        {"max_lr": 0.5, "epochs": 1001, "steps_per_epoch": 10, "anneal_strategy": "linear"},
        {"max_lr": 0.5, "total_steps": 12_000, "three_phase": True, "cycle_momentum": False},
        {
            "max_lr": 0.5,
            "total_steps": 11_000,
            "pct_start": 0.1,
            "div_factor": 3.0,
            "final_div_factor": 7.0,
            "base_momentum": 0.6,
            "max_momentum": 0.7,
            "three_phase": True,
        },
    ],
    "ReduceLROnPlateau": [
        {},
        {"factor": 0.5, "patience": 2, "min_lr": 1e-3},
        {"mode": "max", "factor": 0.9, "patience": 0, "cooldown": 3, "threshold_mode": "abs"},
        {"factor": 0.3, "patience": 1, "threshold": 0.05, "eps": 1e-4},
    ],
    "SWALR": [
        {"swa_lr": 0.05},
        {"swa_lr": 0.5, "anneal_epochs": 5000, "anneal_strategy": "linear"},
        {"swa_lr": 0.05, "anneal_epochs": 0},
    ],
    "SequentialLR": [
        {"schedulers": [WARM, FALL], "milestones": [7]},
        {"schedulers": [WARM, WAVE, FALL], "milestones": [7, 47]},
        {"schedulers": [HOLD, ("LambdaLR", {"lr_lambda": inverse_root})], "milestones": [3]},
        {"schedulers": [WARM, ("CosineAnnealingWarmRestarts", {"T_0": 9})], "milestones": [10]},
        {"schedulers": [FALL, ("MultiplicativeLR", {"lr_lambda": shrinking})], "milestones": [10]},
        {"schedulers": [FALL], "milestones": []},
    ],
    "ChainedScheduler": [
        {"schedulers": [HOLD, FALL]},
        {"schedulers": [WARM, WAVE]},
        {"schedulers": [FALL, ("SequentialLR", {"schedulers": [WARM, FALL], "milestones": [5]})]},
        {"schedulers": [("StepLR", {"step_size": 9, "gamma": 0.5}), FALL, WARM]},
    ],
}
TWINS = tuple(SCHEDULERS)

# These are ours alone.
SCHEDULERS |= {
    "FixedLR": [{}],
    "ExponentialDecayLR": [{"decay_rate": 0.01}, {"decay_rate": 0}],
    "TimeDecayLR": [{"decay_rate": 0.01}, {"decay_rate": 2}, {"decay_rate": 0}],
    "CosineRestartsLR": [{"T_0": 10, "T_mult": 1.5}, {"T_0": 7.5, "T_mult": 2, "eta_min": 1e-3}],
    "WarmupCosineLR": [
        {"warmup_steps": 10, "total_steps": 100},
        {"warmup_steps": 0, "total_steps": 50, "end_factor": 0.1},
    ],
    "WarmupStableDecayLR": [
        {"warmup_steps": 10, "stable_steps": 20, "decay_steps": 30},
        {"warmup_steps": 3, "stable_steps": 9, "decay_steps": 30, "cooldown": "linear"},
        {"warmup_steps": 3, "stable_steps": 9, "decay_steps": 9, "cooldown": "cosine"},
    ],
    "InverseSqrtLR": [{"warmup_steps": 10}, {"warmup_steps": 1}],
    "ScheduleLR": [
        {"formula": schedules.warmup(10) * schedules.exponential(0.99)},
        {"formula": schedules.linear().then(0.5 * schedules.cosine(20), at=10)},
    ],
    "PlateauLR": [
        {"schedule": schedules.warmup(10), "factor": 0.5, "patience": 2, "min_lr": 1e-3},
    ],
    "HyperparameterScheduler": [
        {"name": "weight_decay", "schedule": schedules.anneal(0.1, 0.0, 30)},
        {"name": "lr", "schedule": schedules.inverse_sqrt(5), "relative": True, "groups": [0]},
        {"name": "momentum", "schedule": 0.9 * schedules.warmup(8)},
    ],
}


def _cases(names) -> list[Any]:
    return [
        pytest.param((name, settings), id=f"{name}-{index}")
        for name in names
        for index, settings in enumerate(SCHEDULERS[name])
    ]


CASES = _cases(SCHEDULERS)


def twins_but(*left_out):
    """Decorate a test: it runs on every case that PyTorch has too, but for some classes."""
    names = [name for name in TWINS if name not in left_out]
    return pytest.mark.parametrize("case", _cases(names))


every_case = pytest.mark.parametrize("case", CASES)
every_twin = twins_but()
# A composition has no rates of its own; a plateau is met by metrics, not by epochs.
SINGLE = [
    name
    for name in SCHEDULERS
    if name not in ("SequentialLR", "ChainedScheduler", "ReduceLROnPlateau", "PlateauLR")
]
every_single = pytest.mark.parametrize("case", _cases(SINGLE))
FACTORS = [
    name for name in SINGLE if issubclass(getattr(lr_scheduler, name), lr_scheduler.FactorScheduler)
]
every_factor = pytest.mark.parametrize("case", _cases(FACTORS))


def sgd(*rates, momentum=0.9):
    """An optimizer with one group for each learning rate; 0.1 where none is given."""
    groups = [
        {"params": [tinygrad_opt.zeros(3, requires_grad=True)], "lr": rate}
        for rate in rates or (0.1,)
    ]
    return optim.SGD(groups, lr=1.0, momentum=momentum)


def build(case, optimizer, classes=lr_scheduler, **more):
    """The scheduler of a case on an optimizer; `classes` holds the classes by name."""
    name, settings = case
    inner = settings.get("schedulers")
    if inner is not None:
        settings = {**settings, "schedulers": [build(one, optimizer, classes) for one in inner]}
    if name == "ChainedScheduler":
        return classes.ChainedScheduler(**settings, **more)
    return getattr(classes, name)(optimizer, **settings, **more)


def lrs(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def settings_of(optimizer):
    """All settings of all groups."""
    return [
        {key: value for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
    ]


def metric(epoch):
    """What a plateau is shown: it falls, stays, falls, stays, ..."""
    return 1 / (1 + epoch // 8) + 0.01 * math.cos(epoch)


def step(scheduler):
    """One step, with a metric where one is needed."""
    if any("Plateau" in cls.__name__ for cls in type(scheduler).__mro__):
        scheduler.step(metric(scheduler.last_epoch))
    else:
        scheduler.step()


def advance(optimizer, *schedulers, steps=1):
    """Step the optimizer and its schedulers; return the first group's rate after each step."""
    rates = []
    for _ in range(steps):
        optimizer.step()
        for scheduler in schedulers:
            step(scheduler)
        rates.append(lrs(optimizer)[0])
    return rates


def through_json(state):
    return json.loads(json.dumps(state))
