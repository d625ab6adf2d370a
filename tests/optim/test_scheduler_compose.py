"""Chains and sequences of schedulers, nested too, and what is known to go wrong with them.

PyTorch's users met these as pytorch#72874, #67586, #162591, #185872 and #196243: wrong rates from
schedulers that touch the optimizer when they are built, from nesting, and after resuming.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedulers_table import FALL, HOLD, WARM, WAVE, advance, build, lrs, sgd, step

from tinygrad_opt.optim import schedules
from tinygrad_opt.optim.lr_scheduler import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)


def course(case, steps, rate=1.0):
    """The rates of a case alone, from its first on."""
    optimizer = sgd(rate)
    scheduler = build(case, optimizer)
    return lrs(optimizer) + advance(optimizer, scheduler, steps=steps)


def test_a_chain_multiplies():
    optimizer = sgd(1.0)
    scheduler = ChainedScheduler(
        [ConstantLR(optimizer, factor=0.5, total_iters=2), ExponentialLR(optimizer, gamma=0.9)]
    )
    rates = lrs(optimizer) + advance(optimizer, scheduler, steps=3)
    assert rates == pytest.approx([0.5, 0.45, 0.81, 0.729], rel=1e-14)
    assert scheduler.get_last_lr() == lrs(optimizer)


def test_a_sequence_starts_each_afresh():
    optimizer = sgd(1.0)
    scheduler = SequentialLR(
        optimizer,
        [ConstantLR(optimizer, factor=0.5, total_iters=9), ExponentialLR(optimizer, gamma=0.9)],
        milestones=[2],
    )
    rates = lrs(optimizer) + advance(optimizer, scheduler, steps=4)
    assert rates == pytest.approx([0.5, 0.5, 1.0, 0.9, 0.81], rel=1e-14)
    assert scheduler.get_last_lr() == lrs(optimizer)


def test_a_milestone_at_0_skips_the_first():
    case = {"schedulers": [HOLD, FALL], "milestones": [0]}
    assert course(("SequentialLR", case), 5) == course(FALL, 5)


def test_two_milestones_at_one_step_skip_the_one_between():
    case = {"schedulers": [HOLD, WARM, FALL], "milestones": [2, 2]}
    assert course(("SequentialLR", case), 5) == [0.5, 0.5, *course(FALL, 3)]


# Schedulers that touch the optimizer when they are built


def test_later_schedulers_do_not_disturb_the_first_rate():
    optimizer = sgd(0.1)
    parts = [
        ConstantLR(optimizer, factor=1.0),
        ConstantLR(optimizer, factor=0.1),
        LinearLR(optimizer, start_factor=0.01),
        LambdaLR(optimizer, lambda epoch: 0.0),
    ]
    assert lrs(optimizer) == [0.0]
    SequentialLR(optimizer, parts, milestones=[2, 4, 6])
    assert lrs(optimizer) == [0.1]


def test_warm_up_then_cosine_reaches_exactly_the_initial_rate_and_the_floor():
    optimizer = sgd(0.1)
    parts = [
        LinearLR(optimizer, start_factor=0.01, total_iters=5),
        CosineAnnealingLR(optimizer, T_max=10, eta_min=1e-5),
    ]
    scheduler = SequentialLR(optimizer, parts, milestones=[5])
    rates = lrs(optimizer) + advance(optimizer, scheduler, steps=15)
    assert rates[0] == pytest.approx(0.001, rel=1e-15)
    assert rates[5] == 0.1
    assert rates[15] == 1e-5
    assert rates[5:] == sorted(rates[5:], reverse=True)


def test_a_one_cycle_behind_does_not_stretch_what_comes_before():
    optimizer = sgd(0.1)
    parts = [ExponentialLR(optimizer, gamma=0.5), OneCycleLR(optimizer, max_lr=0.5, total_steps=10)]
    scheduler = SequentialLR(optimizer, parts, milestones=[2])
    rates = lrs(optimizer) + advance(optimizer, scheduler, steps=4)
    assert rates == pytest.approx([0.02, 0.01, 0.02, 0.26, 0.5], rel=1e-12)


def test_a_second_sequence_on_the_same_optimizer_starts_from_the_initial_rate():
    optimizer = sgd(0.1)
    case = "SequentialLR", {"schedulers": [WARM, WAVE], "milestones": [7]}
    first = build(case, optimizer)
    rates = lrs(optimizer) + advance(optimizer, first, steps=20)
    second = build(case, optimizer)
    assert lrs(optimizer) + advance(optimizer, second, steps=20) == rates


# Nesting


@pytest.mark.parametrize(
    ("inner", "turn"),
    [
        (("SequentialLR", {"schedulers": [HOLD, FALL], "milestones": [3]}), 6),
        (("ChainedScheduler", {"schedulers": [HOLD, FALL]}), 5),
        (("ChainedScheduler", {"schedulers": [WARM, WAVE]}), 5),
        (
            ("SequentialLR", {"schedulers": [("ChainedScheduler", {"schedulers": [HOLD, FALL]})]}),
            4,
        ),
    ],
)
def test_a_nested_composition_gives_what_it_gives_alone(inner, turn):
    inner[1].setdefault("milestones", [])
    if inner[0] == "ChainedScheduler":
        del inner[1]["milestones"]
    alone = course(inner, 20)
    case = {"schedulers": [inner, FALL], "milestones": [turn]}
    assert course(("SequentialLR", case), 20) == alone[:turn] + course(FALL, 20 - turn)
    case = {"schedulers": [FALL, inner], "milestones": [turn]}
    assert course(("SequentialLR", case), 20) == course(FALL, turn - 1) + alone[: 21 - turn]


def test_a_chain_of_a_sequence():
    inner = "SequentialLR", {"schedulers": [HOLD, FALL], "milestones": [20]}
    rates = course(("ChainedScheduler", {"schedulers": [inner, FALL]}), 15)
    expected = [a * b for a, b in zip(course(inner, 15), course(FALL, 15), strict=True)]
    assert rates == pytest.approx(expected, rel=1e-13)


def test_restarts_begin_anew_in_a_sequence():
    optimizer = sgd(1.0)
    parts = [
        CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2),
        CosineAnnealingWarmRestarts(optimizer, T_0=4),
    ]
    scheduler = SequentialLR(optimizer, parts, milestones=[3])
    rates = lrs(optimizer) + advance(optimizer, scheduler, steps=5)
    assert rates == pytest.approx([1.0, 0.5, 1.0, 1.0, 0.5 + 0.5**1.5, 0.5], rel=1e-14)


def test_multiplicative_goes_on_from_the_present_rate():
    optimizer = sgd(1.0)
    parts = [ExponentialLR(optimizer, 0.5), MultiplicativeLR(optimizer, lambda epoch: 0.1)]
    scheduler = SequentialLR(optimizer, parts, milestones=[3])
    rates = lrs(optimizer) + advance(optimizer, scheduler, steps=4)
    assert rates == pytest.approx([1.0, 0.5, 0.25, 0.025, 0.0025])


def test_a_plateau_composes_with_a_warm_up_on_the_same_optimizer():
    optimizer = sgd(0.8)
    warmup = LinearLR(optimizer, start_factor=0.25, total_iters=3)
    plateau = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    rates = lrs(optimizer)
    for loss in [3, 2, 2, 1, 0]:
        optimizer.step()
        warmup.step()
        plateau.step(loss)
        rates += lrs(optimizer)
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.4, 0.4, 0.4], rel=1e-14)


# As pure functions

PURE = {
    "ConstantLR": schedules.constant,
    "ExponentialLR": schedules.exponential,
    "LinearLR": schedules.linear,
    "StepLR": schedules.step_decay,
    "PolynomialLR": schedules.polynomial,
}
leaf = st.sampled_from(
    [
        HOLD,
        WARM,
        FALL,
        ("StepLR", {"step_size": 4, "gamma": 0.5}),
        ("PolynomialLR", {"total_iters": 60, "power": 2.0}),
    ]
)
sequence = st.tuples(leaf, leaf, st.integers(1, 20)).map(
    lambda drawn: ("SequentialLR", {"schedulers": [*drawn[:2]], "milestones": [drawn[2]]})
)
nested = st.recursive(
    leaf,
    lambda inner: (
        st.lists(leaf, min_size=1, max_size=3).map(
            lambda cases: ("ChainedScheduler", {"schedulers": cases})
        )
        | st.tuples(inner, inner, st.integers(1, 20)).map(
            lambda drawn: ("SequentialLR", {"schedulers": [*drawn[:2]], "milestones": [drawn[2]]})
        )
    ),
    max_leaves=5,
)


def as_function(case):
    name, kwargs = case
    parts = [as_function(one) for one in kwargs.get("schedulers", [])]
    if name == "ChainedScheduler":
        return schedules.chained(parts)
    if name == "SequentialLR":
        return schedules.sequential(parts, kwargs["milestones"])
    return PURE[name](**kwargs)


@settings(deadline=None, max_examples=100)
@given(case=nested)
def test_compositions_of_schedulers_are_compositions_of_functions(case):
    factor = as_function(case)
    expected = [0.3 * factor(epoch) for epoch in range(41)]
    assert course(case, 40, rate=0.3) == pytest.approx(expected, rel=1e-12, abs=1e-18)


def test_stepping_a_part_directly_is_seen():
    optimizer = sgd(1.0)
    inner = StepLR(optimizer, step_size=1, gamma=0.5)
    scheduler = ChainedScheduler([inner])
    optimizer.step()
    step(inner)
    step(scheduler)
    assert scheduler.get_last_lr() == [0.25]
