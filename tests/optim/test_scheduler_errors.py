"""Schedulers' errors, and what a failure leaves behind: nothing."""

import warnings

import pytest
from schedulers_table import (
    FACTORS,
    HOLD,
    SCHEDULERS,
    Power,
    advance,
    build,
    every_case,
    inverse_root,
    lrs,
    settings_of,
    sgd,
)

import tinygrad_opt
from tinygrad_opt import optim
from tinygrad_opt.optim import lr_scheduler, schedules
from tinygrad_opt.optim.lr_scheduler import (
    CosineAnnealingWarmRestarts,
    CyclicLR,
    LambdaLR,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)


@every_case
def test_not_an_optimizer(case):
    if "schedulers" in case[1]:
        with pytest.raises(TypeError, match="at index 0 should have `optimizer`"):
            getattr(lr_scheduler, case[0])(schedulers=[1], **ONE_MORE[case[0]])
    else:
        with pytest.raises(TypeError, match=f"{case[0]}: int is not an Optimizer"):
            build(case, 1)


ONE_MORE = {"SequentialLR": {"optimizer": None, "milestones": []}, "ChainedScheduler": {}}


@every_case
def test_verbose_is_gone(case):
    with pytest.raises(TypeError, match="verbose"):
        build(case, sgd(), verbose=True)


@pytest.mark.parametrize("name", [*FACTORS, "LambdaLR", "SWALR", "CosineAnnealingWarmRestarts"])
def test_resuming_without_initial_lr(name):
    optimizer = sgd(0.1, 0.2)
    optimizer.param_groups[0]["initial_lr"] = 0.1
    with pytest.raises(KeyError, match=r"'initial_lr' is not specified in param_groups\[1\]"):
        build((name, SCHEDULERS[name][0]), optimizer, last_epoch=0)
    assert "initial_lr" not in optimizer.param_groups[1]


@pytest.mark.parametrize("last_epoch", [-2, 1.5, None])
def test_bad_last_epoch(last_epoch):
    with pytest.raises(ValueError, match=r"StepLR: last_epoch must be an integer, at least -1"):
        StepLR(sgd(), 3, last_epoch=last_epoch)


CYCLE = {"base_lr": 0.1, "max_lr": 0.2}
INSIDE = {"schedulers": [HOLD, HOLD]}


@pytest.mark.parametrize(
    ("name", "kwargs", "error", "message"),
    [
        ("ConstantLR", {"factor": 1.5}, ValueError, "ConstantLR: .*between 0 and 1.*factor=1.5"),
        ("ConstantLR", {"total_iters": -1}, ValueError, "ConstantLR: total_iters .*got -1"),
        (
            "LinearLR",
            {"start_factor": 0},
            ValueError,
            "Starting multiplicative factor expected to be greater than 0 and less or equal to 1.",
        ),
        (
            "LinearLR",
            {"end_factor": 1.1},
            ValueError,
            "Ending multiplicative factor expected to be between 0 and 1.",
        ),
        ("StepLR", {"step_size": 0}, ValueError, "StepLR: step_size .*at least 1, got 0"),
        ("StepLR", {"step_size": 3, "gamma": "x"}, ValueError, "StepLR: gamma .*got 'x'"),
        ("MultiStepLR", {"milestones": [2.5]}, ValueError, "MultiStepLR: milestones .*got 2.5"),
        ("ExponentialLR", {"gamma": -1}, ValueError, "ExponentialLR: gamma .*got -1"),
        ("PolynomialLR", {"total_iters": 0}, ValueError, "PolynomialLR: total_iters .*got 0"),
        ("PolynomialLR", {"power": -1}, ValueError, "PolynomialLR: power .*got -1"),
        ("CosineAnnealingLR", {"T_max": 0}, ValueError, "CosineAnnealingLR: T_max .*got 0"),
        (
            "CosineAnnealingLR",
            {"T_max": 3, "eta_min": None},
            ValueError,
            "CosineAnnealingLR: eta_min must be a finite number, got None",
        ),
        ("CosineRestartsLR", {"T_0": 3, "T_mult": 0.5}, ValueError, "T_mult .*at least 1, got 0.5"),
        ("CosineAnnealingWarmRestarts", {"T_0": 0}, ValueError, "positive integer T_0, but got 0"),
        (
            "CosineAnnealingWarmRestarts",
            {"T_0": 3, "T_mult": 1.5},
            ValueError,
            "Expected integer T_mult >= 1, but got 1.5; CosineRestartsLR",
        ),
        (
            "CosineAnnealingWarmRestarts",
            {"T_0": 3, "eta_min": "0"},
            ValueError,
            "Expected float or int eta_min, but got 0 of type <class 'str'>",
        ),
        ("TimeDecayLR", {"decay_rate": -1}, ValueError, "TimeDecayLR: decay_rate .*got -1"),
        ("CyclicLR", {**CYCLE, "mode": "x"}, ValueError, "mode is invalid and scale_fn is None"),
        ("CyclicLR", {**CYCLE, "step_size_up": 0}, ValueError, "step_size_up .*got 0 and 0"),
        (
            "CyclicLR",
            {**CYCLE, "max_lr": [0.1, 0.2, 0.3]},
            ValueError,
            "max_lr must have the same length as optimizer.param_groups: max_lr has 3 values",
        ),
        ("CyclicLR", {**CYCLE, "base_momentum": [1]}, ValueError, "base_momentum must have"),
        ("CyclicLR", {**CYCLE, "scale_fn": lambda x: 1 / (x - 1)}, ZeroDivisionError, "division"),
        (
            "OneCycleLR",
            {"max_lr": 1.0},
            ValueError,
            r"define either total_steps OR \(epochs AND steps_per_epoch\)",
        ),
        ("OneCycleLR", {"max_lr": 1.0, "epochs": 3}, ValueError, "define either total_steps"),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "total_steps": 0},
            ValueError,
            "Expected positive integer total_steps, but got 0",
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "epochs": 1.5, "steps_per_epoch": 2},
            ValueError,
            "Expected positive integer epochs, but got 1.5",
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "total_steps": 9, "pct_start": 1},
            ValueError,
            "Expected float between 0 and 1 pct_start, but got 1",
        ),
        (
            "OneCycleLR",
            {"max_lr": 1.0, "total_steps": 9, "anneal_strategy": "x"},
            ValueError,
            "anneal_strategy must be one of 'cos' or 'linear', instead got x",
        ),
        ("OneCycleLR", {"max_lr": [1.0], "total_steps": 9}, ValueError, "max_lr must have the"),
        ("ReduceLROnPlateau", {"factor": 1.0}, ValueError, "Factor should be < 1.0."),
        ("ReduceLROnPlateau", {"mode": "x"}, ValueError, "mode x is unknown!"),
        ("ReduceLROnPlateau", {"threshold_mode": "x"}, ValueError, "threshold mode x is unknown!"),
        ("ReduceLROnPlateau", {"min_lr": [1]}, ValueError, "expected 2 min_lrs, got 1"),
        ("PlateauLR", {"schedule": 0.5}, TypeError, "schedule must be a function .*got 0.5"),
        ("PlateauLR", {"schedule": lambda t: 1 / t}, ZeroDivisionError, "division"),
        ("SWALR", {"swa_lr": 1.0, "anneal_strategy": "x"}, ValueError, "anneal_strategy must"),
        ("SWALR", {"swa_lr": 1.0, "anneal_epochs": -1}, ValueError, "anneal_epochs must .*got -1"),
        ("SWALR", {"swa_lr": 1.0, "anneal_epochs": 1.7}, ValueError, "anneal_epochs must .*1.7"),
        ("SWALR", {"swa_lr": [1.0]}, ValueError, "swa_lr must have the same length as"),
        ("SWALR", {"swa_lr": None}, TypeError, "NoneType"),
        ("WarmupCosineLR", {"warmup_steps": 3, "total_steps": 3}, ValueError, "total_steps .*got"),
        (
            "WarmupStableDecayLR",
            {"warmup_steps": 3, "stable_steps": 3, "decay_steps": 3, "cooldown": "x"},
            ValueError,
            "cooldown must be one of '1-sqrt', 'linear', 'cosine', got 'x'",
        ),
        ("InverseSqrtLR", {"warmup_steps": 0}, ValueError, "InverseSqrtLR: warmup_steps .*got 0"),
        ("ScheduleLR", {"formula": 0.5}, TypeError, "formula must be a function .*got 0.5"),
        ("LambdaLR", {"lr_lambda": [inverse_root]}, ValueError, "Expected 2 lr_lambdas, but got 1"),
        ("LambdaLR", {"lr_lambda": 0.5}, TypeError, "should be a function, but got float"),
        ("LambdaLR", {"lr_lambda": lambda epoch: None}, TypeError, "NoneType"),
        ("LambdaLR", {"lr_lambda": lambda epoch: 1 / epoch}, ZeroDivisionError, "division"),
        ("MultiplicativeLR", {"lr_lambda": 0.5}, TypeError, "should be a function, but got float"),
        (
            "HyperparameterScheduler",
            {"name": "betas[0]", "schedule": inverse_root},
            ValueError,
            r"group 0 has no number 'betas\[0\]'; it has lr, momentum",
        ),
        (
            "HyperparameterScheduler",
            {"name": "lr", "schedule": inverse_root, "groups": [2]},
            ValueError,
            "no group 2 among 2",
        ),
        (
            "HyperparameterScheduler",
            {"name": "a.b", "schedule": inverse_root},
            ValueError,
            r"name must look like 'momentum' or 'betas\[0\]', got 'a.b'",
        ),
        ("HyperparameterScheduler", {"name": "lr", "schedule": 1}, TypeError, "must be a function"),
        (
            "HyperparameterScheduler",
            {"name": "lr", "schedule": lambda t: 1 / t},
            ZeroDivisionError,
            "division",
        ),
    ],
)
def test_a_failed_construction_leaves_the_optimizer_alone(name, kwargs, error, message):
    optimizer = sgd(0.1, tinygrad_opt.tensor(0.2))
    before = settings_of(optimizer)
    with pytest.raises(error, match=message):
        build((name, kwargs), optimizer)
    assert settings_of(optimizer) == before
    assert optimizer.param_groups[1]["lr"].item() == tinygrad_opt.tensor(0.2).item()


@pytest.mark.parametrize("name", ["CyclicLR", "OneCycleLR"])
def test_momentum_cannot_cycle_where_there_is_none(name):
    optimizer = optim.RMSprop([tinygrad_opt.zeros(2, requires_grad=True)])
    del optimizer.defaults["momentum"]
    before = settings_of(optimizer)
    with pytest.raises(ValueError, match="must support momentum or beta1 with `cycle_momentum`"):
        build((name, SCHEDULERS[name][0]), optimizer)
    assert settings_of(optimizer) == before


def test_one_cycle_ends():
    optimizer = sgd()
    scheduler = OneCycleLR(optimizer, max_lr=1.0, total_steps=3)
    advance(optimizer, scheduler, steps=3)
    before = settings_of(optimizer)
    ended = "Tried to step 4 times. The specified number of total steps is 3"
    with pytest.raises(ValueError, match=ended):
        scheduler.step()
    assert settings_of(optimizer) == before
    assert scheduler.last_epoch == 3


def test_restarts_before_the_beginning():
    scheduler = CosineAnnealingWarmRestarts(sgd(), T_0=4)
    with pytest.raises(ValueError, match="Expected non-negative epoch, but got -1"):
        scheduler.step(-1)
    assert (scheduler.T_cur, scheduler.T_i) == (0, 4)


def test_a_group_added_to_plateaus_with_their_own_least():
    optimizer = sgd(0.8)
    scheduler = ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.01])
    shared = ReduceLROnPlateau(optimizer, patience=0, min_lr=0.01)
    optimizer.add_param_group({"params": [tinygrad_opt.zeros(2, requires_grad=True)], "lr": 0.2})
    scheduler.step(1.0)
    with pytest.raises(RuntimeError, match=r"The number of param groups in the `optimizer` \(2\)"):
        scheduler.step(1.0)
    for _ in range(2):
        shared.step(1.0)
    assert lrs(optimizer) == pytest.approx([0.08, 0.02])
    scheduler.min_lrs = [0.01, 0.01]
    scheduler.step(1.0)
    assert lrs(optimizer) == pytest.approx([0.01, 0.01])


def test_a_failed_step_changes_nothing():
    optimizer = sgd(0.1, 0.2)
    scheduler = LambdaLR(optimizer, [lambda epoch: 1.0, lambda epoch: [1.0, None][epoch]])
    optimizer.step()
    with pytest.raises(TypeError):
        scheduler.step()
    assert lrs(optimizer) == [0.1, 0.2] == scheduler.get_last_lr()
    assert (scheduler.last_epoch, scheduler._step_count) == (0, 1)
    assert scheduler._get_lr_called_within_step is False


def test_a_failed_cycle_changes_nothing():
    optimizer = sgd(0.1)
    scale = Power(1.0)
    scheduler = CyclicLR(optimizer, 0.1, 0.2, step_size_up=2, scale_fn=scale)
    scale.base = "x"
    before = settings_of(optimizer)
    optimizer.step()
    with pytest.raises(TypeError):
        scheduler.step()
    assert settings_of(optimizer) == before
    assert scheduler.last_epoch == 0


def test_a_failed_restart_changes_nothing():
    optimizer = sgd(0.1)
    scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=1, T_mult=2)
    del optimizer.param_groups[0]["lr"]
    with pytest.raises(KeyError):
        scheduler.step()
    assert (scheduler.T_cur, scheduler.T_i, scheduler.last_epoch) == (0, 1, 0)


def test_a_failed_plateau_step_changes_nothing():
    schedule = schedules.warmup(2).then(lambda step: 1 / step, at=2)
    optimizer = sgd(0.8)
    scheduler = lr_scheduler.PlateauLR(optimizer, schedule, patience=0)
    advance(optimizer, scheduler)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            scheduler.step(9.0)
    assert (scheduler.plateaus, scheduler.last_epoch, lrs(optimizer)) == (0, 1, [0.8])


@pytest.mark.parametrize("name", ["SequentialLR", "ChainedScheduler"])
def test_compositions_refuse_what_does_not_fit(name):
    def make(*schedulers, milestones=(), optimizer=None):
        if name == "ChainedScheduler":
            return lr_scheduler.ChainedScheduler(schedulers, optimizer)
        return lr_scheduler.SequentialLR(optimizer or one, schedulers, list(milestones))

    one, other = sgd(0.1), sgd(0.1)
    good, strange = StepLR(one, 3), StepLR(other, 3)
    with pytest.raises(ValueError, match=f"{name} expects at least one scheduler.*no scheduler"):
        make()
    with pytest.raises(ValueError, match=r"to belong to the same optimizer.*StepLR at index 1"):
        make(good, strange, milestones=[3])
    with pytest.raises(ValueError, match=r"to belong to the same optimizer.*StepLR at index 0"):
        make(good, optimizer=other)
    with pytest.raises(ValueError, match=r"does not support `ReduceLROnPlateau`.*at index 1"):
        make(good, ReduceLROnPlateau(one), milestones=[3])
    with pytest.raises(TypeError, match="at index 1 should have `optimizer` as its attribute"):
        make(good, object(), milestones=[3])


def test_a_sequence_needs_as_many_milestones():
    optimizer = sgd(0.1)
    with pytest.raises(
        ValueError,
        match=r"number of schedulers provided to be one more than the number of milestone points.*"
        "number of schedulers 2 and the number of milestones to be equal to 2",
    ):
        build(("SequentialLR", {**INSIDE, "milestones": [3, 5]}), optimizer)
    case = {"schedulers": [HOLD, HOLD, HOLD], "milestones": [5, 3]}
    with pytest.raises(ValueError, match=r"milestones must be in rising order, got \[5, 3\]"):
        build(("SequentialLR", case), optimizer)


def test_a_sequence_that_cannot_start_leaves_the_optimizer_alone():
    optimizer = sgd(0.8)
    calls = []

    def second_time(epoch):
        calls.append(epoch)
        return 0.5 if len(calls) == 1 else None

    inner = LambdaLR(optimizer, second_time)
    with warnings.catch_warnings(), pytest.raises(TypeError):
        lr_scheduler.SequentialLR(optimizer, [inner], [])
    assert lrs(optimizer) == [0.4]
