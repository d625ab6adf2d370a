"""ROWS: every public scheduler with settings it is tested in and refuses; and what tests share.

A case is plain data, (class name, settings), in which a composition holds cases in its turn.
`build` makes it with our classes or with PyTorch's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

import tinygrad_opt
from tinygrad_opt import optim
from tinygrad_opt.optim import lr_scheduler, schedules
from tinygrad_opt.porting.pytorch_names import NAMES


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

CYCLE = {"base_lr": 0.1, "max_lr": 0.2}


class Row(NamedTuple):
    """A scheduler: settings that it is tested in, and those that it refuses."""

    settings: list[dict[str, Any]]
    refused: Sequence[tuple[dict[str, Any], type[Exception], str]] = ()  # error, text


ROWS = {
    "LambdaLR": Row([{"lr_lambda": inverse_root}, {"lr_lambda": Power(0.999)}], [
        ({"lr_lambda": [inverse_root]}, ValueError, "Expected 2 lr_lambdas, but got 1"),
        ({"lr_lambda": 0.5}, TypeError, "should be a function, but got float"),
        ({"lr_lambda": lambda epoch: None}, TypeError, "NoneType"),
        ({"lr_lambda": lambda epoch: 1 / epoch}, ZeroDivisionError, "division"),
    ]),
    "MultiplicativeLR": Row([{"lr_lambda": shrinking}, {"lr_lambda": Power(0.9999)}], [
        ({"lr_lambda": 0.5}, TypeError, "should be a function, but got float"),
    ]),
    "ConstantLR": Row([{}, {"factor": 0.7, "total_iters": 40}, {"factor": 1.0}], [
        ({"factor": 1.5}, ValueError, "ConstantLR: .*between 0 and 1.*factor=1.5"),
        ({"total_iters": -1}, ValueError, "ConstantLR: total_iters .*got -1"),
    ]),
    "LinearLR": Row([
        {},
        {"start_factor": 0.01, "total_iters": 1000},
        {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 30},
        {"start_factor": 0.5, "end_factor": 0, "total_iters": 20},
    ], [
        ({"start_factor": 0}, ValueError,
         "Starting multiplicative factor expected to be greater than 0 and less or equal to 1."),
        ({"end_factor": 1.1}, ValueError,
         "Ending multiplicative factor expected to be between 0 and 1."),
    ]),
    "StepLR": Row([
        {"step_size": 1000},
        {"step_size": 7, "gamma": 0.9},
        {"step_size": 1, "gamma": 1.01},
    ], [
        ({"step_size": 0}, ValueError, "StepLR: step_size .*at least 1, got 0"),
        ({"step_size": 3, "gamma": "x"}, ValueError, "StepLR: gamma .*got 'x'"),
        ({"step_size": 3, "last_epoch": -2}, ValueError,
         r"StepLR: last_epoch must be an integer, at least -1"),
        ({"step_size": 3, "last_epoch": 1.5}, ValueError,
         r"StepLR: last_epoch must be an integer, at least -1"),
        ({"step_size": 3, "last_epoch": None}, ValueError,
         r"StepLR: last_epoch must be an integer, at least -1"),
    ]),
    "MultiStepLR": Row([
        {"milestones": [30, 80]},
        {"milestones": [5, 3, 5, 5000], "gamma": 0.5},
        {"milestones": []},
    ], [
        ({"milestones": [2.5]}, ValueError, "MultiStepLR: milestones .*got 2.5"),
    ]),
    "ExponentialLR": Row([{"gamma": 0.999}, {"gamma": 0.95}, {"gamma": 1.001}, {"gamma": 1}], [
        ({"gamma": -1}, ValueError, "ExponentialLR: gamma .*got -1"),
    ]),
    "PolynomialLR": Row([
        {},
        {"total_iters": 9000, "power": 2.0},
        {"total_iters": 50, "power": 0.5},
    ], [
        ({"total_iters": 0}, ValueError, "PolynomialLR: total_iters .*got 0"),
        ({"power": -1}, ValueError, "PolynomialLR: power .*got -1"),
    ]),
    "CosineAnnealingLR": Row([
        {"T_max": 10_000, "eta_min": 1e-4},
        {"T_max": 3333},
        {"T_max": 30},
    ], [
        ({"T_max": 0}, ValueError, "CosineAnnealingLR: T_max .*got 0"),
        ({"T_max": 3, "eta_min": None}, ValueError,
         "CosineAnnealingLR: eta_min must be a finite number, got None"),
    ]),
    "CosineAnnealingWarmRestarts": Row([
        {"T_0": 10},
        {"T_0": 7, "T_mult": 2, "eta_min": 1e-3},
        {"T_0": 1, "T_mult": 5},
    ], [
        ({"T_0": 0}, ValueError, "positive integer T_0, but got 0"),
        ({"T_0": 3, "T_mult": 1.5}, ValueError,
         "Expected integer T_mult >= 1, but got 1.5; CosineRestartsLR"),
        ({"T_0": 3, "eta_min": "0"}, ValueError,
         "Expected float or int eta_min, but got 0 of type <class 'str'>"),
    ]),
    "CyclicLR": Row([
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 500},
        {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 4, "step_size_down": 12},
        {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 700, "mode": "triangular2"},
        {"base_lr": 0.05, "max_lr": 0.1, "step_size_up": 30, "mode": "exp_range",
         "gamma": 0.999, "cycle_momentum": False},
        {"base_lr": 0.05, "max_lr": 0.1, "step_size_up": 3, "scale_fn": Power(0.9),
         "base_momentum": 0.5, "max_momentum": 0.8},
        {"base_lr": 0.05, "max_lr": 0.1, "step_size_up": 3, "scale_fn": inverse_root,
         "scale_mode": "iterations"},
    ], [
        ({**CYCLE, "mode": "x"}, ValueError, "mode is invalid and scale_fn is None"),
        ({**CYCLE, "step_size_up": 0}, ValueError, "step_size_up .*got 0 and 0"),
        ({**CYCLE, "max_lr": [0.1, 0.2, 0.3]}, ValueError,
         "max_lr must have the same length as optimizer.param_groups: max_lr has 3 values"),
        ({**CYCLE, "base_momentum": [1]}, ValueError, "base_momentum must have"),
        ({**CYCLE, "scale_fn": lambda x: 1 / (x - 1)}, ZeroDivisionError, "division"),
    ]),
    "OneCycleLR": Row([
        {"max_lr": 0.5, "total_steps": 10_000},
        {"max_lr": 0.5, "epochs": 1001, "steps_per_epoch": 10, "anneal_strategy": "linear"},
        {"max_lr": 0.5, "total_steps": 12_000, "three_phase": True, "cycle_momentum": False},
        {"max_lr": 0.5, "total_steps": 11_000, "pct_start": 0.1, "div_factor": 3.0,
         "final_div_factor": 7.0, "base_momentum": 0.6, "max_momentum": 0.7, "three_phase": True},
    ], [
        ({"max_lr": 1.0}, ValueError,
         r"define either total_steps OR \(epochs AND steps_per_epoch\)"),
        ({"max_lr": 1.0, "epochs": 3}, ValueError, "define either total_steps"),
        ({"max_lr": 1.0, "total_steps": 0}, ValueError,
         "Expected positive integer total_steps, but got 0"),
        ({"max_lr": 1.0, "epochs": 1.5, "steps_per_epoch": 2}, ValueError,
         "Expected positive integer epochs, but got 1.5"),
        ({"max_lr": 1.0, "total_steps": 9, "pct_start": 1}, ValueError,
         "Expected float between 0 and 1 pct_start, but got 1"),
        ({"max_lr": 1.0, "total_steps": 9, "anneal_strategy": "x"}, ValueError,
         "anneal_strategy must be one of 'cos' or 'linear', instead got x"),
        ({"max_lr": [1.0], "total_steps": 9}, ValueError, "max_lr must have the"),
    ]),
    "ReduceLROnPlateau": Row([
        {},
        {"factor": 0.5, "patience": 2, "min_lr": 1e-3},
        {"mode": "max", "factor": 0.9, "patience": 0, "cooldown": 3, "threshold_mode": "abs"},
        {"factor": 0.3, "patience": 1, "threshold": 0.05, "eps": 1e-4},
    ], [
        ({"factor": 1.0}, ValueError, "Factor should be < 1.0."),
        ({"mode": "x"}, ValueError, "mode x is unknown!"),
        ({"threshold_mode": "x"}, ValueError, "threshold mode x is unknown!"),
        ({"min_lr": [1]}, ValueError, "expected 2 min_lrs, got 1"),
    ]),
    "SWALR": Row([
        {"swa_lr": 0.05},
        {"swa_lr": 0.5, "anneal_epochs": 5000, "anneal_strategy": "linear"},
        {"swa_lr": 0.05, "anneal_epochs": 0},
    ], [
        ({"swa_lr": 1.0, "anneal_strategy": "x"}, ValueError, "anneal_strategy must"),
        ({"swa_lr": 1.0, "anneal_epochs": -1}, ValueError, "anneal_epochs must .*got -1"),
        ({"swa_lr": 1.0, "anneal_epochs": 1.7}, ValueError, "anneal_epochs must .*1.7"),
        ({"swa_lr": [1.0]}, ValueError, "swa_lr must have the same length as"),
        ({"swa_lr": None}, TypeError, "NoneType"),
    ]),
    "SequentialLR": Row([
        {"schedulers": [WARM, FALL], "milestones": [7]},
        {"schedulers": [WARM, WAVE, FALL], "milestones": [7, 47]},
        {"schedulers": [HOLD, ("LambdaLR", {"lr_lambda": inverse_root})], "milestones": [3]},
        {"schedulers": [WARM, ("CosineAnnealingWarmRestarts", {"T_0": 9})], "milestones": [10]},
        {"schedulers": [FALL, ("MultiplicativeLR", {"lr_lambda": shrinking})], "milestones": [10]},
        {"schedulers": [FALL], "milestones": []},
    ], [
        ({"schedulers": [HOLD, HOLD], "milestones": [3, 5]}, ValueError,
         r"one more than the number of milestone points.*number of schedulers 2 and the number of "
         "milestones to be equal to 2"),
        ({"schedulers": [HOLD, HOLD, HOLD], "milestones": [5, 3]}, ValueError,
         r"milestones must be in rising order, got \[5, 3\]"),
    ]),
    "ChainedScheduler": Row([
        {"schedulers": [HOLD, FALL]},
        {"schedulers": [WARM, WAVE]},
        {"schedulers": [FALL, ("SequentialLR", {"schedulers": [WARM, FALL], "milestones": [5]})]},
        {"schedulers": [("StepLR", {"step_size": 9, "gamma": 0.5}), FALL, WARM]},
    ]),
    "FixedLR": Row([{}]),
    "ExponentialDecayLR": Row([{"decay_rate": 0.01}, {"decay_rate": 0}], [
        ({"decay_rate": -1}, ValueError, "ExponentialDecayLR: decay_rate .*got -1"),
    ]),
    "TimeDecayLR": Row([{"decay_rate": 0.01}, {"decay_rate": 2}, {"decay_rate": 0}], [
        ({"decay_rate": -1}, ValueError, "TimeDecayLR: decay_rate .*got -1"),
    ]),
    "CosineRestartsLR": Row([
        {"T_0": 10, "T_mult": 1.5},
        {"T_0": 7.5, "T_mult": 2, "eta_min": 1e-3},
    ], [
        ({"T_0": 3, "T_mult": 0.5}, ValueError, "T_mult .*at least 1, got 0.5"),
    ]),
    "WarmupCosineLR": Row([
        {"warmup_steps": 10, "total_steps": 100},
        {"warmup_steps": 0, "total_steps": 50, "end_factor": 0.1},
    ], [
        ({"warmup_steps": 3, "total_steps": 3}, ValueError, "total_steps .*got"),
    ]),
    "WarmupStableDecayLR": Row([
        {"warmup_steps": 10, "stable_steps": 20, "decay_steps": 30},
        {"warmup_steps": 3, "stable_steps": 9, "decay_steps": 30, "cooldown": "linear"},
        {"warmup_steps": 3, "stable_steps": 9, "decay_steps": 9, "cooldown": "cosine"},
    ], [
        ({"warmup_steps": 3, "stable_steps": 3, "decay_steps": 3, "cooldown": "x"}, ValueError,
         "cooldown must be one of '1-sqrt', 'linear', 'cosine', got 'x'"),
    ]),
    "InverseSqrtLR": Row([{"warmup_steps": 10}, {"warmup_steps": 1}], [
        ({"warmup_steps": 0}, ValueError, "InverseSqrtLR: warmup_steps .*got 0"),
    ]),
    "ScheduleLR": Row([
        {"formula": schedules.warmup(10) * schedules.exponential(0.99)},
        {"formula": schedules.linear().then(0.5 * schedules.cosine(20), at=10)},
    ], [
        ({"formula": 0.5}, TypeError, "formula must be a function .*got 0.5"),
    ]),
    "PlateauLR": Row([
        {"schedule": schedules.warmup(10), "factor": 0.5, "patience": 2, "min_lr": 1e-3},
    ], [
        ({"schedule": 0.5}, TypeError, "schedule must be a function .*got 0.5"),
        ({"schedule": lambda t: 1 / t}, ZeroDivisionError, "division"),
    ]),
    "HyperparameterScheduler": Row([
        {"name": "weight_decay", "schedule": schedules.anneal(0.1, 0.0, 30)},
        {"name": "lr", "schedule": schedules.inverse_sqrt(5), "relative": True, "groups": [0]},
        {"name": "momentum", "schedule": 0.9 * schedules.warmup(8)},
    ], [
        ({"name": "betas[0]", "schedule": inverse_root}, ValueError,
         r"group 0 has no number 'betas\[0\]'; it has lr, momentum"),
        ({"name": "lr", "schedule": inverse_root, "groups": [2]}, ValueError,
         "no group 2 among 2"),
        ({"name": "a.b", "schedule": inverse_root}, ValueError,
         r"name must look like 'momentum' or 'betas\[0\]', got 'a.b'"),
        ({"name": "lr", "schedule": 1}, TypeError, "must be a function"),
        ({"name": "lr", "schedule": lambda t: 1 / t}, ZeroDivisionError, "division"),
    ]),
}  # fmt: skip

SCHEDULERS = {name: row.settings for name, row in ROWS.items()}
_PEERS = {*NAMES["optim.lr_scheduler"].split(), *NAMES["optim.swa_utils"].split()}
TWINS = tuple(name for name in ROWS if name in _PEERS)  # PyTorch has these too
every_refusal = pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        pytest.param(name, *refusal, id=f"{name}-{index}")
        for name, row in ROWS.items()
        for index, refusal in enumerate(row.refused)
    ],
)


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


def inside(settings, optimizer, classes=lr_scheduler):
    """The settings with the schedulers in them built."""
    if "schedulers" not in settings:
        return settings
    inner = [build(one, optimizer, classes) for one in settings["schedulers"]]
    return {**settings, "schedulers": inner}


def build(case, optimizer, classes=lr_scheduler, **more):
    """The scheduler of a case on an optimizer; `classes` holds the classes by name."""
    name, settings = case
    settings = inside(settings, optimizer, classes)
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
