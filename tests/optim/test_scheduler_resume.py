"""Resuming: saved as JSON at any step, loaded into new objects, the same bits as never stopping."""

import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedulers_table import (
    CASES,
    SCHEDULERS,
    Power,
    advance,
    build,
    every_case,
    every_twin,
    inverse_root,
    lrs,
    settings_of,
    sgd,
    through_json,
)

from tinygrad_opt.optim import schedules
from tinygrad_opt.optim.lr_scheduler import (
    CyclicLR,
    HyperparameterScheduler,
    LambdaLR,
    MultiStepLR,
    OneCycleLR,
    PlateauLR,
    ReduceLROnPlateau,
    ScheduleLR,
    SequentialLR,
    StepLR,
)

SINGLES = [
    (name, kwargs)
    for name, rows in SCHEDULERS.items()
    for kwargs in rows
    if "schedulers" not in kwargs and "Plateau" not in name
]


def chain(inner):
    return st.lists(inner, min_size=1, max_size=3).map(
        lambda cases: ("ChainedScheduler", {"schedulers": cases})
    )


def sequence(inner):
    def with_milestones(cases):
        gaps = st.lists(st.integers(0, 15), min_size=len(cases) - 1, max_size=len(cases) - 1)
        return gaps.map(
            lambda gaps: (
                "SequentialLR",
                {"schedulers": cases, "milestones": [sum(gaps[: i + 1]) for i in range(len(gaps))]},
            )
        )

    return st.lists(inner, min_size=1, max_size=3).flatmap(with_milestones)


# Any scheduler, or chains and sequences of any, nested.
compositions = st.recursive(
    st.sampled_from(SINGLES), lambda inner: chain(inner) | sequence(inner), max_leaves=6
)
plateaus = st.sampled_from([(n, k) for n, rows in SCHEDULERS.items() for k in rows if "Plat" in n])


def assert_resumes(cases, before, after, by_hand=None):
    optimizer = sgd(0.1, 0.3)
    schedulers = [build(case, optimizer) for case in cases]
    advance(optimizer, *schedulers, steps=before)
    if by_hand is not None:
        optimizer.param_groups[1]["lr"] = by_hand
    saved = json.dumps([scheduler.state_dict() for scheduler in schedulers])

    resumed = sgd(0.1, 0.3)
    others = [build(case, resumed) for case in cases]
    resumed.load_state_dict(optimizer.state_dict())
    for scheduler, state in zip(others, json.loads(saved), strict=True):
        scheduler.load_state_dict(state)
    for _ in range(after):
        advance(optimizer, *schedulers)
        advance(resumed, *others)
        assert settings_of(resumed) == settings_of(optimizer)
    for scheduler, other in zip(schedulers, others, strict=True):
        assert through_json(other.state_dict()) == through_json(scheduler.state_dict())


@settings(deadline=None, max_examples=150)
@given(
    cases=st.lists(compositions | plateaus, min_size=1, max_size=3),
    before=st.integers(0, 40),
    after=st.integers(1, 40),
    by_hand=st.none() | st.floats(1e-3, 1.0),
)
def test_resuming_gives_the_same_bits(cases, before, after, by_hand):
    assert_resumes(cases, before, after, by_hand)


@every_case
@pytest.mark.parametrize("before", [1, 7, 33])
def test_every_scheduler_resumes(case, before):
    assert_resumes([case], before, after=60)


NESTED = """
import json, sys
from schedulers_table import FALL, HOLD, WARM, WAVE, advance, build, settings_of, sgd
inner = ("SequentialLR", {"schedulers": [WARM, ("ChainedScheduler", {"schedulers": [HOLD, WAVE]})],
         "milestones": [5]})
case = ("SequentialLR", {"schedulers": [inner, ("CyclicLR", {"base_lr": 0.1, "max_lr": 0.7})],
        "milestones": [21]})
optimizer = sgd(0.1, 0.3)
schedulers = [build(case, optimizer), build(("MultiStepLR", {"milestones": [9, 19]}), optimizer)]
start, stop = int(sys.argv[1]), int(sys.argv[2])
if start:
    groups, states = json.load(sys.stdin)
    state = optimizer.state_dict()
    for group, saved in zip(state["param_groups"], groups):
        group |= saved
    optimizer.load_state_dict(state)
    for scheduler, state in zip(schedulers, states):
        scheduler.load_state_dict(state)
advance(optimizer, *schedulers, steps=stop - start)
print(json.dumps([settings_of(optimizer), [s.state_dict() for s in schedulers]]))
"""


def run_nested(start, stop, state=""):
    """Run NESTED between two steps in a process of its own; returns what it prints."""
    command = [sys.executable, "-W", "error", "-c", NESTED, str(start), str(stop)]
    done = subprocess.run(
        command, input=state, capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_resuming_in_another_process():
    halves = run_nested(14, 30, run_nested(0, 14))
    assert halves == run_nested(0, 30)


# What is in the state


@pytest.mark.parametrize(
    ("name", "kwargs", "own"),
    [
        ("LambdaLR", {"lr_lambda": inverse_root}, {"lr_lambdas"}),
        ("MultiStepLR", {"milestones": [3]}, {"milestones", "gamma"}),
        ("StepLR", {"step_size": 3}, {"step_size", "gamma"}),
        ("CosineAnnealingLR", {"T_max": 3}, {"T_max", "eta_min"}),
        (
            "CosineAnnealingWarmRestarts",
            {"T_0": 3},
            {"T_0", "T_i", "T_mult", "eta_min", "T_cur"},
        ),
        ("SWALR", {"swa_lr": 0.1}, {"anneal_epochs", "_anneal_strategy"}),
        ("ScheduleLR", {"formula": schedules.fixed()}, {"formula"}),
        ("WarmupCosineLR", SCHEDULERS["WarmupCosineLR"][1], {*SCHEDULERS["WarmupCosineLR"][1]}),
    ],
)
def test_state_dict_keys(name, kwargs, own):
    shared = {"base_lrs", "last_epoch", "_step_count", "_is_initial", "_last_lr"}
    shared.add("_get_lr_called_within_step")
    assert set(build((name, kwargs), sgd()).state_dict()) == shared | own


def test_state_of_lambdas():
    optimizer = sgd(0.1, 0.3)
    scheduler = LambdaLR(optimizer, [inverse_root, Power(0.5)])
    state = through_json(scheduler.state_dict())
    assert state["lr_lambdas"] == [None, {"base": 0.5}]
    other = LambdaLR(sgd(0.1, 0.3), [inverse_root, Power(0.25)])
    other.load_state_dict(state)
    assert other.lr_lambdas[1].base == 0.5
    assert "lr_lambdas" in state


def test_state_of_a_custom_scale():
    def state_of(scale_fn):
        return CyclicLR(sgd(), 0.1, 1.0, scale_fn=scale_fn).state_dict()["_scale_fn_custom"]

    assert state_of(None) is None
    assert state_of(inverse_root) is None
    assert state_of(Power(0.5)) == {"base": 0.5}
    other = CyclicLR(sgd(), 0.1, 1.0, scale_fn=Power(0.25))
    other.load_state_dict(CyclicLR(sgd(), 0.1, 1.0, scale_fn=Power(0.5)).state_dict())
    assert other.scale_fn(2) == 0.25


def test_state_of_a_cyclic_mode_is_taken_over():
    saved = CyclicLR(sgd(), 0.1, 1.0, mode="triangular2").state_dict()
    other = CyclicLR(sgd(), 0.1, 1.0)
    other.load_state_dict(saved)
    assert other.mode == "triangular2"
    assert other.scale_fn(3) == other._scale_fn_ref(3) == 0.25


def test_milestones_come_back_from_json_as_numbers():
    saved = through_json(MultiStepLR(sgd(), [3, 5, 5]).state_dict())
    other = MultiStepLR(sgd(), [1])
    other.load_state_dict(saved)
    assert other.milestones == Counter({3: 1, 5: 2})
    assert saved["milestones"] == {"3": 1, "5": 2}


def test_one_cycle_states_of_old_hold_the_function():
    scheduler = OneCycleLR(sgd(), max_lr=1.0, total_steps=10)
    state = scheduler.state_dict()
    del state["_anneal_func_type"]
    for function, name in [
        (OneCycleLR._annealing_linear, "linear"),
        (OneCycleLR._annealing_cos, "cos"),
    ]:
        scheduler.load_state_dict({**state, "anneal_func": function})
        assert scheduler._anneal_func_type == name


def test_settings_in_the_state_win():
    other = ScheduleLR(sgd(), schedules.fixed())
    other.load_state_dict(through_json(ScheduleLR(sgd(), schedules.exponential(0.5)).state_dict()))
    assert other.formula == schedules.exponential(0.5)
    assert advance(other.optimizer, other) == [0.05]


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda optimizer, f: ScheduleLR(optimizer, f), "formula"),
        (lambda optimizer, f: PlateauLR(optimizer, f), "schedule"),
        (lambda optimizer, f: HyperparameterScheduler(optimizer, "momentum", f), "schedule"),
    ],
)
def test_a_lambda_is_refused_in_a_state(make, key):
    scheduler = make(sgd(), lambda step: 0.5)
    with pytest.raises(TypeError, match=r"cannot save the schedule: a lambda has no form in JSON"):
        scheduler.state_dict()
    assert make(sgd(), schedules.fixed()).state_dict()[key] == {"schedule": "fixed", "settings": {}}


def test_state_with_too_many_groups_is_refused():
    state = StepLR(sgd(0.1, 0.2), 3).state_dict()
    with pytest.raises(ValueError, match=r"StepLR: the state has 2 parameter groups, .* 1$"):
        StepLR(sgd(), 3).load_state_dict(state)


def test_state_with_other_schedulers_inside_is_refused():
    optimizer = sgd()
    one = SequentialLR(optimizer, [StepLR(optimizer, 3)], [])
    two = SequentialLR(optimizer, [StepLR(optimizer, 3), StepLR(optimizer, 3)], [4])
    with pytest.raises(ValueError, match="SequentialLR: the state has 2 schedulers, there are 1"):
        one.load_state_dict(two.state_dict())


def test_loading_leaves_the_given_state_alone():
    for case in (param.values[0] for param in CASES):
        state = build(case, sgd()).state_dict()
        before = repr(state)
        build(case, sgd()).load_state_dict(state)
        assert repr(state) == before


# With last_epoch


@pytest.mark.parametrize(
    ("name", "kwargs", "held", "next_one"),
    [
        ("ExponentialLR", {"gamma": 0.5}, 0.4, 0.2),
        ("TimeDecayLR", {"decay_rate": 1}, 0.4, 0.4 * (1 / 7) / (1 / 6)),
        ("StepLR", {"step_size": 5, "gamma": 0.5}, 0.2, 0.2),
        ("MultiStepLR", {"milestones": [5], "gamma": 0.5}, 0.2, 0.2),
        ("ConstantLR", {"factor": 0.5, "total_iters": 5}, 0.8, 0.8),
        ("LinearLR", {"start_factor": 0.5, "total_iters": 8}, 0.4, 0.4 * 0.875 / 0.8125),
        ("PolynomialLR", {"total_iters": 10}, 0.4, 0.4 * 0.4 / 0.5),
        ("LambdaLR", {"lr_lambda": lambda epoch: epoch}, 4.0, 0.8 * 6),
        ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.5}, 0.4, 0.2),
        ("CosineAnnealingWarmRestarts", {"T_0": 4}, 0.8 * 0.5 * (1 + 0.5**0.5), 0.4),
    ],
)
def test_last_epoch_resumes_as_in_pytorch(name, kwargs, held, next_one):
    optimizer = sgd(0.4)
    optimizer.param_groups[0]["initial_lr"] = 0.8
    scheduler = build((name, kwargs), optimizer, last_epoch=4)
    assert scheduler.last_epoch == 5
    assert lrs(optimizer) == pytest.approx([held], rel=1e-15)
    assert advance(optimizer, scheduler) == pytest.approx([next_one], rel=1e-15)


@pytest.mark.parametrize("last_epoch", [0, 4, 8, 30])
def test_a_sequence_with_last_epoch_goes_on_where_it_stopped(last_epoch):
    case = SCHEDULERS["SequentialLR"][1]
    whole, resumed = sgd(0.1), sgd(0.1)
    scheduler = build(("SequentialLR", case), whole)
    advance(whole, scheduler, steps=last_epoch + 1)
    other = build(("SequentialLR", case), resumed, last_epoch=last_epoch)
    assert other.last_epoch == scheduler.last_epoch
    assert lrs(resumed) == lrs(whole)
    assert advance(resumed, other, steps=40) == advance(whole, scheduler, steps=40)


@pytest.mark.parametrize("kwargs", SCHEDULERS["CosineAnnealingWarmRestarts"])
@pytest.mark.parametrize("last_epoch", [0, 6, 9, 39])
def test_restarts_with_last_epoch_are_in_the_right_cycle(kwargs, last_epoch):
    whole, resumed = sgd(0.1), sgd(0.1)
    scheduler = build(("CosineAnnealingWarmRestarts", kwargs), whole)
    advance(whole, scheduler, steps=last_epoch + 1)
    resumed.param_groups[0]["initial_lr"] = 0.1
    other = build(("CosineAnnealingWarmRestarts", kwargs), resumed, last_epoch=last_epoch)
    assert (other.T_cur, other.T_i) == (scheduler.T_cur, scheduler.T_i)
    assert advance(resumed, other, steps=40) == advance(whole, scheduler, steps=40)


def test_a_plateau_that_never_came_is_infinitely_bad():
    state = through_json(ReduceLROnPlateau(sgd()).state_dict())
    assert state["best"] == math.inf


@pytest.mark.peers
@every_twin
def test_states_pass_through_pytorchs_safe_loader(case, torch, tmp_path):
    state = build(case, sgd()).state_dict()
    torch.save(state, tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == state
