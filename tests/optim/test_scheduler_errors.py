"""Schedulers' errors, and what a failure leaves behind: nothing."""

import warnings

import pytest
from schedulers_table import (
    FACTORS,
    ROWS,
    SCHEDULERS,
    Power,
    advance,
    build,
    every_case,
    every_refusal,
    inside,
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


@every_refusal
def test_a_refused_construction_leaves_the_optimizer_alone(name, settings, error, message):
    optimizer = sgd(0.1, tinygrad_opt.tensor(0.2))
    settings = inside(settings, optimizer)
    before = settings_of(optimizer)
    rate = optimizer.param_groups[1]["lr"].item()
    with pytest.raises(error, match=message):
        getattr(lr_scheduler, name)(optimizer, **settings)
    assert settings_of(optimizer) == before
    assert optimizer.param_groups[1]["lr"].item() == rate


def test_rows_say_what_is_refused():
    without = {name for name, row in ROWS.items() if not row.refused}
    assert without == {"FixedLR", "ChainedScheduler"}  # the one has no settings, the other: below


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
