"""Schedulers: values, two on one optimizer, Tensor rates, what a failure leaves, users' own."""

import copy
import gc
import inspect
import pickle
import weakref

import pytest
from schedulers_table import (
    SCHEDULERS,
    advance,
    build,
    every_case,
    every_factor,
    every_single,
    inverse_root,
    lrs,
    settings_of,
    sgd,
)

import tinygrad_opt
from tinygrad_opt.optim import lr_scheduler
from tinygrad_opt.optim.lr_scheduler import (
    ConstantLR,
    ExponentialLR,
    FactorScheduler,
    InverseTimeLR,
    LambdaLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    StepLR,
)

OWN_LIMITS = ("CyclicLR", "OneCycleLR")  # their rates come from their settings


def test_the_table_holds_every_public_class():
    public = {getattr(lr_scheduler, name) for name in lr_scheduler.__all__}
    classes = {item.__name__ for item in public if inspect.isclass(item)}
    assert set(SCHEDULERS) == classes - {"LRScheduler", "FactorScheduler"}


# Values


@pytest.mark.parametrize(
    ("name", "kwargs", "expected"),
    [
        ("LambdaLR", {"lr_lambda": lambda epoch: 0.5**epoch}, [0.8, 0.4, 0.2, 0.1]),
        ("MultiplicativeLR", {"lr_lambda": lambda epoch: 1 / epoch}, [0.8, 0.8, 0.4, 0.4 / 3]),
        ("ConstantLR", {"factor": 0.25, "total_iters": 2}, [0.2, 0.2, 0.8, 0.8]),
        ("ConstantLR", {"factor": 0, "total_iters": 2}, [0.0, 0.0, 0.8, 0.8]),
        ("ConstantLR", {"total_iters": 0}, [0.8, 0.8]),
        ("ConstantLR", {}, [0.8 / 3] * 5 + [0.8]),
        ("LinearLR", {"start_factor": 0.5, "total_iters": 2}, [0.4, 0.6, 0.8, 0.8]),
        ("LinearLR", {"total_iters": 4}, [0.8 / 3, 0.4, 1.6 / 3, 2 / 3, 0.8]),
        ("LinearLR", {"start_factor": 0.5, "total_iters": 0}, [0.8, 0.8]),
        ("StepLR", {"step_size": 2, "gamma": 0.5}, [0.8, 0.8, 0.4, 0.4, 0.2]),
        ("StepLR", {"step_size": 2}, [0.8, 0.8, 0.8 * 0.1]),
        ("MultiStepLR", {"milestones": [3, 1, 3], "gamma": 0.5}, [0.8, 0.4, 0.4, 0.1]),
        ("MultiStepLR", {"milestones": [1]}, [0.8, 0.8 * 0.1]),
        ("ExponentialLR", {"gamma": 0.5}, [0.8, 0.4, 0.2, 0.1]),
        ("PolynomialLR", {"total_iters": 4, "power": 2}, [0.8, 0.45, 0.2, 0.05, 0.0, 0.0]),
        ("PolynomialLR", {}, [0.8, 0.64, 0.48, 0.32, 0.16, 0.0]),
        ("CosineAnnealingLR", {"T_max": 3}, [0.8, 0.6, 0.2, 0.0, 0.2, 0.6, 0.8, 0.6]),
        ("CosineAnnealingLR", {"T_max": 2, "eta_min": 0.2}, [0.8, 0.5, 0.2, 0.5, 0.8]),
        ("CosineAnnealingWarmRestarts", {"T_0": 2}, [0.8, 0.4, 0.8, 0.4]),
        (
            "CosineAnnealingWarmRestarts",
            {"T_0": 1, "T_mult": 3, "eta_min": 0.2},
            [0.8, 0.8, 0.65, 0.35, 0.8],
        ),
        ("CosineRestartsLR", {"T_0": 2, "T_mult": 1.5}, [0.8, 0.4, 0.8, 0.6, 0.2, 0.8]),
        ("SWALR", {"swa_lr": 0.4, "anneal_epochs": 2}, [0.8, 0.6, 0.4, 0.4]),
        (
            "SWALR",
            {"swa_lr": 0.4, "anneal_epochs": 4, "anneal_strategy": "linear"},
            [0.8, 0.7, 0.6, 0.5, 0.4],
        ),
        ("SWALR", {"swa_lr": 0.4, "anneal_epochs": 0}, [0.4, 0.4]),
        ("FixedLR", {}, [0.8, 0.8, 0.8]),
        ("ExponentialDecayLR", {"decay_rate": 1}, [0.8, 0.29430355293715387]),
        ("TimeDecayLR", {"decay_rate": 1}, [0.8, 0.4, 0.8 / 3, 0.2]),
        ("WarmupCosineLR", {"warmup_steps": 2, "total_steps": 4}, [0.4, 0.8, 0.8, 0.4, 0.0, 0.0]),
        (
            "WarmupStableDecayLR",
            {"warmup_steps": 2, "stable_steps": 1, "decay_steps": 4},
            [0.4, 0.8, 0.8, 0.8, 0.4, 0.8 * (1 - 0.5**0.5)],
        ),
        ("InverseSqrtLR", {"warmup_steps": 2}, [0.4, 0.8, 0.8 * (2 / 3) ** 0.5, 0.8 * 0.5**0.5]),
    ],
)
def test_golden_values(name, kwargs, expected):
    optimizer = sgd(0.8)
    scheduler = build((name, kwargs), optimizer)
    first = lrs(optimizer)
    rates = first + advance(optimizer, scheduler, steps=len(expected) - 1)
    assert rates == pytest.approx(expected, rel=1e-14, abs=1e-16)


@every_case
def test_every_group_follows_its_own_initial_rate(case):
    optimizer, single = sgd(0.1, 0.3), sgd(0.3)
    if case[1].get("groups") == [0]:
        case = (case[0], {**case[1], "groups": None})
    both, one = build(case, optimizer), build(case, single)
    for _ in range(50):
        advance(optimizer, both)
        advance(single, one)
        assert both.get_last_lr() == lrs(optimizer)
        assert lrs(optimizer)[1] == lrs(single)[0]
    if case[0] not in (*OWN_LIMITS, "ReduceLROnPlateau"):
        assert [group["initial_lr"] for group in optimizer.param_groups] == [0.1, 0.3]


def test_lambda_per_group():
    optimizer = sgd(0.1, 0.3)
    scheduler = LambdaLR(optimizer, [lambda epoch: epoch, lambda epoch: 1 + epoch])
    assert lrs(optimizer) == [0.0, 0.3]
    advance(optimizer, scheduler)
    assert lrs(optimizer) == [0.1, 0.6]


def test_multiplicative_lambda_per_group():
    optimizer = sgd(0.1, 0.4)
    scheduler = MultiplicativeLR(optimizer, [lambda epoch: 1.0, lambda epoch: 0.5])
    advance(optimizer, scheduler, steps=2)
    assert lrs(optimizer) == [0.1, 0.1]


@every_factor
def test_alone_the_closed_form_is_written_exactly(case):
    optimizer = sgd(0.1)
    scheduler = build(case, optimizer)
    factor, floor = scheduler.schedule(), scheduler.floor
    rates = advance(optimizer, scheduler, steps=300)
    assert rates == [floor + (0.1 - floor) * factor(epoch) for epoch in range(1, 301)]


@every_single
def test_counters_after_construction(case):
    scheduler = build(case, sgd())
    counts = 0 if case[0] == "CosineAnnealingWarmRestarts" else 1  # as in PyTorch
    assert (scheduler.last_epoch, scheduler._step_count) == (0, counts)
    assert scheduler._is_initial is False
    advance(scheduler.optimizer, scheduler)
    assert (scheduler.last_epoch, scheduler._step_count) == (1, 2 * counts)


# Others change the rate too


def test_two_schedulers_multiply():
    optimizer = sgd(0.8)
    warmup = ConstantLR(optimizer, factor=0.5, total_iters=2)
    decay = ExponentialLR(optimizer, gamma=0.5)
    rates = lrs(optimizer) + advance(optimizer, warmup, decay, steps=4)
    assert rates == pytest.approx([0.4, 0.2, 0.2, 0.1, 0.05], rel=1e-15)


def test_a_change_by_hand_is_carried_over():
    optimizer = sgd(0.8)
    scheduler = StepLR(optimizer, step_size=2, gamma=0.5)
    advance(optimizer, scheduler)
    optimizer.param_groups[0]["lr"] = 0.08
    assert advance(optimizer, scheduler, steps=4) == [0.04, 0.04, 0.02, 0.02]


def test_a_change_by_hand_is_carried_over_above_the_floor():
    optimizer = sgd(0.5)
    scheduler = build(("CosineAnnealingLR", {"T_max": 3, "eta_min": 0.1}), optimizer)
    optimizer.param_groups[0]["lr"] = 0.9  # twice as far above the floor
    assert advance(optimizer, scheduler, steps=2) == pytest.approx([0.7, 0.3], rel=1e-14)


def test_lambda_overrules_a_change_by_hand():
    optimizer = sgd(0.8)
    scheduler = LambdaLR(optimizer, lambda epoch: 0.5**epoch)
    optimizer.param_groups[0]["lr"] = 0.08
    assert advance(optimizer, scheduler, steps=2) == [0.4, 0.2]


def test_from_a_factor_of_zero_the_difference_is_carried_over():
    optimizer = sgd(0.8)
    scheduler = ConstantLR(optimizer, factor=0, total_iters=3)
    optimizer.param_groups[0]["lr"] = 0.1
    assert advance(optimizer, scheduler, steps=3) == [0.1, 0.1, 0.1 + 0.8]


def test_setting_changed_midway_takes_effect():
    optimizer = sgd(0.8)
    scheduler = ExponentialLR(optimizer, gamma=1.0)
    advance(optimizer, scheduler, steps=3)
    scheduler.gamma = 0.5
    assert advance(optimizer, scheduler) == [0.4]


def test_milestones_changed_midway_take_effect():
    optimizer = sgd(0.8)
    scheduler = MultiStepLR(optimizer, milestones=[50], gamma=0.5)
    advance(optimizer, scheduler, steps=3)
    scheduler.milestones[4] = 2
    assert advance(optimizer, scheduler) == [0.2]


def test_a_group_added_later_takes_part_from_its_own_rate():
    optimizer = sgd(0.8)
    scheduler = ExponentialLR(optimizer, gamma=0.5)
    advance(optimizer, scheduler)
    late = {"params": [tinygrad_opt.zeros(2, requires_grad=True)], "lr": 0.2}
    optimizer.add_param_group(late)
    advance(optimizer, scheduler)
    assert lrs(optimizer) == [0.2, 0.1] == scheduler.get_last_lr()


def test_a_group_added_later_has_no_lambda():
    optimizer = sgd(0.8)
    scheduler = LambdaLR(optimizer, inverse_root)
    optimizer.add_param_group({"params": [tinygrad_opt.zeros(2, requires_grad=True)], "lr": 0.2})
    optimizer.step()
    with pytest.raises(ValueError, match="LambdaLR: 1 learning rates for 2 parameter groups"):
        scheduler.step()
    assert lrs(optimizer) == [0.8, 0.2]
    assert (scheduler.last_epoch, scheduler._step_count) == (0, 1)


# A Tensor as learning rate


@every_case
def test_tensor_rate_is_filled_in_place_and_never_aliased(case):
    rate = tinygrad_opt.tensor(0.5)
    optimizer, expected = sgd(rate), sgd(0.5)
    scheduler, twin = build(case, optimizer), build(case, expected)
    for _ in range(20):
        advance(optimizer, scheduler)
        advance(expected, twin)
        assert rate.item() == pytest.approx(lrs(expected)[0], rel=1e-5)
    assert optimizer.param_groups[0]["lr"] is rate
    group, last = optimizer.param_groups[0], lrs(expected)[0]
    rate.fill_(9.0)
    assert scheduler.get_last_lr()[0].item() == pytest.approx(last, 1e-5)
    if case[0] not in (*OWN_LIMITS, "ReduceLROnPlateau"):
        assert group["initial_lr"].item() == 0.5
    if case[0] not in OWN_LIMITS and hasattr(scheduler, "base_lrs"):
        assert scheduler.base_lrs[0].item() == 0.5
        assert scheduler.base_lrs[0] is not group["initial_lr"]


def test_tensor_rate_follows_the_closed_form_to_its_last_bit():
    rate = tinygrad_opt.tensor(0.1)
    optimizer = sgd(rate)
    scheduler = ExponentialLR(optimizer, gamma=0.999)
    start = rate.item()
    for epoch in range(1, 500):
        advance(optimizer, scheduler)
        assert rate.item() == tinygrad_opt.tensor(start * 0.999**epoch).item()


# A user's own scheduler


class Recurrent(LRScheduler):
    """A recurrence, as PyTorch's users write it."""

    def get_lr(self):
        x = 1.0 if self.last_epoch == 0 else 0.5
        return [group["lr"] * x for group in self.optimizer.param_groups]


def test_own_get_lr():
    optimizer = sgd(0.8)
    assert advance(optimizer, Recurrent(optimizer), steps=3) == [0.4, 0.2, 0.1]


def test_own_get_lr_composes():
    optimizer = sgd(0.8)
    schedulers = ExponentialLR(optimizer, gamma=0.5), Recurrent(optimizer)
    assert advance(optimizer, *schedulers, steps=2) == [0.2, 0.05]


def test_own_closed_form_is_used_by_step_with_an_epoch():
    class Jumping(StepLR):
        def _get_closed_form_lr(self):
            return [base * self.last_epoch for base in self.base_lrs]

    optimizer = sgd(0.5)
    scheduler = Jumping(optimizer, step_size=2, gamma=0.5)
    assert advance(optimizer, scheduler, steps=2) == [0.5, 0.25]
    with pytest.warns(UserWarning, match="deprecated"):
        scheduler.step(6)
    assert lrs(optimizer) == [3.0]


def test_own_schedule_over_one_that_names_its_settings():
    class Scaled(StepLR):
        def schedule(self):
            return lambda step: self.gamma if step < self.start else 1.0

    Scaled.start = 2
    optimizer = sgd(0.8)
    scheduler = Scaled(optimizer, step_size=1, gamma=0.5)
    assert lrs(optimizer) == [0.4]
    scheduler.start = 1
    assert advance(optimizer, scheduler) == [0.8]


def test_the_old_names():
    assert issubclass(lr_scheduler._LRScheduler, LRScheduler)
    assert lr_scheduler._LRScheduler.__name__ == "_LRScheduler"
    assert InverseTimeLR is lr_scheduler.TimeDecayLR


def test_the_bases_say_what_is_missing():
    optimizer = sgd(0.8)
    with pytest.raises(NotImplementedError, match=r"LRScheduler does not define get_lr\(\)"):
        LRScheduler(optimizer)
    with pytest.raises(NotImplementedError, match=r"FactorScheduler does not define schedule\(\)"):
        FactorScheduler(optimizer)
    assert "initial_lr" not in optimizer.param_groups[0]


# Life and death


@every_case
def test_no_reference_cycle(case):
    gc.collect()
    gc.disable()
    try:
        optimizer = sgd()
        scheduler = build(case, optimizer)
        advance(optimizer, scheduler, steps=2)
        dead = weakref.ref(optimizer), weakref.ref(scheduler)
        del optimizer, scheduler
        assert [reference() for reference in dead] == [None, None]
    finally:
        gc.enable()


@every_case
def test_pickled_or_copied_it_goes_on(case):
    optimizer = sgd(0.1, 0.3)
    scheduler = build(case, optimizer)
    advance(optimizer, scheduler, steps=5)
    others = pickle.loads(pickle.dumps(scheduler)), copy.deepcopy(scheduler)
    advance(optimizer, scheduler, steps=20)
    for other in others:
        assert other.optimizer is not optimizer
        advance(other.optimizer, other, steps=20)
        assert settings_of(other.optimizer) == settings_of(optimizer)
