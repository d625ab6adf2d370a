"""What single schedulers have of their own: cycles, plateaus, averaging, any hyper-parameter."""

import math

import pytest
from schedulers_table import advance, lrs, settings_of, sgd

import tinygrad_opt
from tinygrad_opt import optim
from tinygrad_opt.optim import schedules
from tinygrad_opt.optim.lr_scheduler import (
    SWALR,
    ChainedScheduler,
    CyclicLR,
    ExponentialLR,
    HyperparameterScheduler,
    OneCycleLR,
    PlateauLR,
    ReduceLROnPlateau,
    ScheduleLR,
)


def adam(**kwargs):
    return optim.Adam([tinygrad_opt.zeros(2, requires_grad=True)], lr=0.1, **kwargs)


def both(optimizer, scheduler, steps):
    """Rates and momentums of the first group, from the first on."""
    seen = [(optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"])]
    for _ in range(steps):
        advance(optimizer, scheduler)
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
    return [list(column) for column in zip(*seen, strict=True)]


# Cycles


@pytest.mark.parametrize(
    ("kwargs", "heights"),
    [
        ({"step_size_up": 2}, [0, 0.5, 1, 0.5, 0, 0.5, 1]),
        ({"step_size_up": 1, "step_size_down": 2}, [0, 1, 0.5, 0, 1, 0.5]),
        ({"step_size_up": 1, "mode": "triangular2"}, [0, 1, 0, 0.5, 0, 0.25]),
        ({"step_size_up": 1, "mode": "exp_range", "gamma": 0.5}, [0, 0.5, 0, 0.125, 0]),
        ({"step_size_up": 1, "scale_fn": lambda cycle: cycle}, [0, 1, 0, 2, 0, 3]),
        (
            {"step_size_up": 1, "scale_fn": lambda t: t, "scale_mode": "iterations"},
            [0, 1, 0, 3, 0, 5],
        ),
    ],
)
def test_cyclic(kwargs, heights):
    optimizer = sgd(0.9)
    scheduler = CyclicLR(optimizer, base_lr=0.1, max_lr=0.5, **kwargs)
    rates, momentums = both(optimizer, scheduler, len(heights) - 1)
    assert rates == pytest.approx([0.1 + 0.4 * h for h in heights], rel=1e-14)
    assert momentums == pytest.approx([0.9 - 0.1 * h for h in heights], rel=1e-14)


def test_cyclic_per_group():
    optimizer = sgd(0.9, 0.9)
    scheduler = CyclicLR(
        optimizer, [0.1, 0.2], [0.3, 0.8], 2, base_momentum=[0.5, 0.6], max_momentum=[0.7, 1.0]
    )
    advance(optimizer, scheduler)
    assert lrs(optimizer) == pytest.approx([0.2, 0.5])
    assert [g["momentum"] for g in optimizer.param_groups] == pytest.approx([0.6, 0.8])
    assert [(g["base_momentum"], g["max_momentum"]) for g in optimizer.param_groups] == [
        (0.5, 0.7),
        (0.6, 1.0),
    ]


def test_cyclic_waits_for_its_turn_behind_another():
    optimizer = sgd(0.9)
    first = ExponentialLR(optimizer, gamma=0.5)
    then = CyclicLR(optimizer, base_lr=0.1, max_lr=0.5, step_size_up=2)
    assert lrs(optimizer) == [0.9] == then.get_last_lr()
    assert then.base_lrs == [0.1]
    assert advance(optimizer, first, steps=2) == [0.45, 0.225]
    assert advance(optimizer, then, steps=2) == pytest.approx([0.3, 0.5])


@pytest.mark.parametrize("cycle", [CyclicLR, OneCycleLR])
def test_momentum_stays_unless_it_cycles(cycle):
    optimizer = sgd(0.1, momentum=0.77)
    kwargs = {"base_lr": 0.1} if cycle is CyclicLR else {"total_steps": 9}
    scheduler = cycle(optimizer, max_lr=0.5, cycle_momentum=False, **kwargs)
    advance(optimizer, scheduler, steps=3)
    assert optimizer.param_groups[0]["momentum"] == 0.77
    assert "base_momentum" not in optimizer.param_groups[0]


def test_beta1_cycles_where_there_are_betas():
    optimizer = adam(betas=(0.9, 0.95))
    scheduler = CyclicLR(optimizer, base_lr=0.1, max_lr=0.5, step_size_up=2)
    advance(optimizer, scheduler)
    assert optimizer.param_groups[0]["betas"] == pytest.approx((0.85, 0.95))
    scheduler = OneCycleLR(optimizer, max_lr=0.5, total_steps=10)
    assert optimizer.param_groups[0]["betas"] == pytest.approx((0.95, 0.95))
    advance(optimizer, scheduler, steps=2)
    assert optimizer.param_groups[0]["betas"] == pytest.approx((0.85, 0.95))


@pytest.mark.parametrize(
    ("kwargs", "rates", "momentums"),
    [
        (
            {"total_steps": 10, "anneal_strategy": "linear"},
            [0.04, 0.52, 1.0, 6 / 7, 5 / 7],
            [0.95, 0.9, 0.85, 0.85 + 0.1 / 7, 0.85 + 0.2 / 7],
        ),
        (
            {"epochs": 5, "steps_per_epoch": 2},
            [0.04, 0.52, 1.0, 1 - math.sin(math.pi / 14) ** 2],
            [0.95, 0.9, 0.85, 0.85 + 0.1 * math.sin(math.pi / 14) ** 2],
        ),
        (
            {"total_steps": 10, "anneal_strategy": "linear", "three_phase": True},
            [0.04, 0.52, 1.0, 0.52, 0.04, 0.032, 0.024],
            [0.95, 0.9, 0.85, 0.9, 0.95, 0.95, 0.95],
        ),
        (
            {"total_steps": 10, "pct_start": 0.1, "anneal_strategy": "linear"},  # no way up
            [1.0, 8 / 9],
            [0.85, 0.85 + 0.1 / 9],
        ),
    ],
)
def test_one_cycle(kwargs, rates, momentums):
    optimizer = sgd(0.3)
    scheduler = OneCycleLR(optimizer, max_lr=1.0, final_div_factor=1e12, **kwargs)
    found = both(optimizer, scheduler, len(rates) - 1)
    assert found == [pytest.approx(rates, rel=1e-11), pytest.approx(momentums, rel=1e-11)]


def test_one_cycle_keeps_its_limits_in_the_groups():
    optimizer = sgd(0.3)
    scheduler = OneCycleLR(optimizer, max_lr=1.0, total_steps=10, div_factor=10, final_div_factor=5)
    group = optimizer.param_groups[0]
    assert (group["initial_lr"], group["max_lr"], group["min_lr"]) == (0.1, 1.0, 0.02)
    group["max_lr"] = 2.0
    assert advance(optimizer, scheduler, steps=2)[-1] == 2.0
    assert advance(optimizer, scheduler, steps=7)[-1] == pytest.approx(0.02)


# Limits that are Tensors


def test_tensor_limits_are_copied():
    rate, peak, low = (tinygrad_opt.tensor(x) for x in (0.1, 4.0, 0.5))
    optimizer = sgd(rate)
    scheduler = CyclicLR(optimizer, 0.1, peak, base_momentum=low, max_momentum=0.9, step_size_up=2)
    for held in (rate, peak, low):
        held.fill_(7.0)
    assert scheduler.max_lrs[0].item() == 4.0
    assert optimizer.param_groups[0]["base_momentum"].item() == 0.5
    advance(optimizer, scheduler, steps=2)
    assert rate.item() == pytest.approx(4.0, rel=1e-6)
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.5)

    peak = tinygrad_opt.tensor(0.5)
    optimizer = sgd(tinygrad_opt.tensor(0.1))
    scheduler = OneCycleLR(optimizer, max_lr=peak, total_steps=10)
    swa = SWALR(optimizer, swa_lr=peak)
    peak.fill_(9.0)
    assert optimizer.param_groups[0]["max_lr"].item() == 0.5
    assert optimizer.param_groups[0]["swa_lr"].item() == 0.5
    advance(optimizer, scheduler, steps=2)
    assert lrs(optimizer)[0].item() == pytest.approx(0.5)
    assert swa.optimizer is optimizer


# Plateaus


@pytest.mark.parametrize(
    ("kwargs", "metrics", "rates"),
    [
        ({"patience": 1}, [5, 5, 5, 5, 5, 5], [1, 1, 0.5, 0.5, 0.25, 0.25]),
        ({"patience": 0, "cooldown": 2}, [5, 5, 5, 5, 5], [1, 0.5, 0.5, 0.5, 0.25]),
        ({"patience": 0, "mode": "max"}, [1, 2, 3, 3], [1, 1, 1, 0.5]),
        ({"patience": 0, "min_lr": 0.3}, [1, 1, 1], [1, 0.5, 0.3]),
        ({"patience": 0, "eps": 0.3}, [1, 1, 1], [1, 0.5, 0.5]),
        ({"patience": 0, "threshold": 0.1}, [1, 0.95, 0.85], [1, 0.5, 0.5]),
        ({"patience": 0, "threshold": 0.1, "mode": "max"}, [1, 1.05, 1.15], [1, 0.5, 0.5]),
        ({"patience": 0, "threshold": 2, "threshold_mode": "abs"}, [9, 8, 6], [1, 0.5, 0.5]),
        (
            {"patience": 0, "threshold": 2, "threshold_mode": "abs", "mode": "max"},
            [6, 8, 8],
            [1, 0.5, 0.25],
        ),
        ({"patience": 0}, [1, math.nan, 0.5], [1, 0.5, 0.5]),
    ],
)
def test_plateau(kwargs, metrics, rates):
    optimizer = sgd(1.0)
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, **kwargs)
    found = []
    for metric in metrics:
        optimizer.step()
        scheduler.step(metric)
        found += lrs(optimizer)
    assert found == pytest.approx(rates, rel=1e-15)
    assert scheduler.get_last_lr() == found[-1:]


def test_plateau_takes_tensors():
    optimizer = sgd(tinygrad_opt.tensor(1.0))
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    for _ in range(2):
        scheduler.step(tinygrad_opt.tensor(3.0))
    assert lrs(optimizer)[0].item() == 0.5


def test_plateau_with_a_warm_up_inside():
    optimizer = sgd(0.8, 0.4)
    scheduler = PlateauLR(optimizer, schedules.warmup(4), factor=0.5, patience=0, min_lr=[0, 0.15])
    rates = lrs(optimizer)[:1]
    for loss in [None, None, None, 1.0, None, 1.0, 0.5, 0.5]:
        optimizer.step()
        scheduler.step(loss)
        rates += lrs(optimizer)[:1]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.4, 0.4, 0.2])
    assert lrs(optimizer)[1] == 0.15
    assert scheduler.plateaus == 2


# Averaging


def test_swa_starts_from_the_rate_that_another_scheduler_left():
    optimizer = sgd(1.0)
    decay = ExponentialLR(optimizer, gamma=0.5)
    swa = SWALR(optimizer, swa_lr=0.05, anneal_epochs=4, anneal_strategy="linear")
    assert advance(optimizer, decay, steps=2) == [0.5, 0.25]
    assert advance(optimizer, swa, steps=6) == pytest.approx([0.2, 0.15, 0.1, 0.05, 0.05, 0.05])
    optimizer.param_groups[0]["lr"] = 0.7
    assert advance(optimizer, swa) == [0.05]  # at its end it holds the rate


def test_swa_per_group():
    optimizer = sgd(0.1, 0.2)
    scheduler = SWALR(optimizer, swa_lr=[0.3, 0.4], anneal_epochs=2)
    advance(optimizer, scheduler)
    assert lrs(optimizer) == pytest.approx([0.2, 0.3])
    assert [group["swa_lr"] for group in optimizer.param_groups] == [0.3, 0.4]


# Any hyper-parameter


def test_weight_decay_of_one_group_follows_a_schedule():
    optimizer = sgd(0.1, 0.1)
    schedule = schedules.anneal(0.0, 0.4, 4, "linear")
    scheduler = HyperparameterScheduler(optimizer, "weight_decay", schedule, groups=[1])
    before = settings_of(optimizer)[0]
    values = []
    for _ in range(5):
        advance(optimizer, scheduler)
        values.append(optimizer.param_groups[1]["weight_decay"])
        assert scheduler.get_last_value() == values[-1:]
    assert values == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert settings_of(optimizer)[0] == before


def test_what_is_scheduled_is_what_the_optimizer_uses():
    parameter = tinygrad_opt.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([parameter], lr=1.0)
    HyperparameterScheduler(optimizer, "weight_decay", lambda step: 0.25)
    parameter.grad = tinygrad_opt.zeros(1)
    optimizer.step()
    assert parameter.tolist() == [0.75]


def test_betas_follow_a_schedule_of_their_own():
    optimizer = adam(betas=(0.9, 0.999))
    for i, values in enumerate([(0.9, 0.5), (0.999, 0.9)]):
        scheduler = HyperparameterScheduler(
            optimizer, f"betas[{i}]", schedules.anneal(*values, steps=2, strategy="linear")
        )
        advance(optimizer, scheduler)
    assert optimizer.param_groups[0]["betas"] == pytest.approx((0.7, 0.9495))
    assert isinstance(optimizer.param_groups[0]["betas"], tuple)


def test_a_relative_schedule_scales_each_groups_own_value():
    optimizer = sgd(0.1, 0.2)
    optimizer.param_groups[1]["momentum"] = 0.5
    scheduler = HyperparameterScheduler(
        optimizer, "momentum", schedules.exponential(0.5), relative=True
    )
    advance(optimizer, scheduler)
    assert [group["momentum"] for group in optimizer.param_groups] == [0.45, 0.25]


def test_rate_and_decay_step_together_in_a_chain():
    optimizer = sgd(0.8)
    rate = ExponentialLR(optimizer, gamma=0.5)
    decay = HyperparameterScheduler(optimizer, "weight_decay", 0.1 * schedules.exponential(0.5))
    advance(optimizer, ChainedScheduler([rate, decay]), steps=2)
    assert (lrs(optimizer), optimizer.param_groups[0]["weight_decay"]) == ([0.2], 0.025)


def test_a_schedule_of_ones_own_shares_the_optimizer():
    optimizer = sgd(0.8)
    own = ScheduleLR(optimizer, lambda step: 1 / (1 + step))
    other = ExponentialLR(optimizer, gamma=0.5)
    assert advance(optimizer, own, other, steps=3) == pytest.approx([0.2, 0.8 / 12, 0.025])
