"""Schedulers: golden values, two on one optimizer, exact resuming, errors, warnings, PyTorch's.

SCHEDULERS holds every class with several settings; the generic tests run over all of it.
"""

import gc
import inspect
import json
import math
import types
import warnings
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_opt
from tinygrad_opt import optim
from tinygrad_opt.optim import lr_scheduler
from tinygrad_opt.optim.lr_scheduler import (
    ConstantLR,
    ExponentialLR,
    InverseTimeLR,
    LambdaLR,
    LRScheduler,
    StepLR,
)
from tinygrad_opt.optim.scheduler_base import FactorScheduler


def inverse_root(epoch):
    return (1 + epoch) ** -0.5


class Power:
    """A callable object, whose attributes a state dict can hold."""

    def __init__(self, base):
        self.base = base

    def __call__(self, epoch):
        return self.base**epoch


SCHEDULERS = {
    LambdaLR: [{"lr_lambda": inverse_root}, {"lr_lambda": Power(0.999)}],
    ConstantLR: [{}, {"factor": 0.7, "total_iters": 40}, {"factor": 1.0}],
    StepLR: [{"step_size": 1000}, {"step_size": 7, "gamma": 0.9}, {"step_size": 1, "gamma": 1.01}],
    ExponentialLR: [{"gamma": 0.999}, {"gamma": 0.95}, {"gamma": 1.001}, {"gamma": 1}],
    InverseTimeLR: [{"decay_rate": 0.01}, {"decay_rate": 2}, {"decay_rate": 0}],
}
CASES = [
    pytest.param(cls, kwargs, id=f"{cls.__name__}-{index}")
    for cls, rows in SCHEDULERS.items()
    for index, kwargs in enumerate(rows)
]
every_case = pytest.mark.parametrize(("cls", "kwargs"), CASES)


def sgd(*lrs):
    """An optimizer with one group for each learning rate; 0.1 where none is given."""
    groups = [
        {"params": [tinygrad_opt.zeros(3, requires_grad=True)], "lr": lr} for lr in lrs or (0.1,)
    ]
    return optim.SGD(groups, lr=1.0)


def lrs(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def advance(optimizer, *schedulers, steps=1):
    """Step the optimizer and its schedulers; return the first group's rate after each step."""
    rates = []
    for _ in range(steps):
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
        rates.append(lrs(optimizer)[0])
    return rates


def through_json(state):
    return json.loads(json.dumps(state))


def test_the_table_holds_every_public_class():
    public = {getattr(lr_scheduler, name) for name in lr_scheduler.__all__}
    classes = {item for item in public if inspect.isclass(item)}
    assert set(SCHEDULERS) == classes - {LRScheduler}


# Values


@pytest.mark.parametrize(
    ("cls", "kwargs", "expected"),
    [
        (LambdaLR, {"lr_lambda": lambda epoch: 0.5**epoch}, [0.8, 0.4, 0.2, 0.1]),
        (ConstantLR, {"factor": 0.25, "total_iters": 2}, [0.2, 0.2, 0.8, 0.8]),
        (ConstantLR, {"factor": 0, "total_iters": 2}, [0.0, 0.0, 0.8, 0.8]),
        (ConstantLR, {"total_iters": 0}, [0.8, 0.8]),
        (ConstantLR, {}, [0.8 / 3] * 5 + [0.8]),
        (StepLR, {"step_size": 2, "gamma": 0.5}, [0.8, 0.8, 0.4, 0.4, 0.2]),
        (StepLR, {"step_size": 2}, [0.8, 0.8, 0.8 * 0.1]),
        (ExponentialLR, {"gamma": 0.5}, [0.8, 0.4, 0.2, 0.1]),
        (InverseTimeLR, {"decay_rate": 1}, [0.8, 0.4, 0.8 / 3, 0.2]),
    ],
)
def test_golden_values(cls, kwargs, expected):
    optimizer = sgd(0.8)
    scheduler = cls(optimizer, **kwargs)
    first = lrs(optimizer)
    rates = first + advance(optimizer, scheduler, steps=len(expected) - 1)
    assert rates == pytest.approx(expected, rel=1e-15, abs=0)


@every_case
def test_every_group_follows_its_own_initial_rate(cls, kwargs):
    optimizer, single = sgd(0.1, 0.3), sgd(0.3)
    both, one = cls(optimizer, **kwargs), cls(single, **kwargs)
    for _ in range(50):
        advance(optimizer, both)
        advance(single, one)
        assert both.get_last_lr() == lrs(optimizer)
        assert lrs(optimizer)[1] == lrs(single)[0]
    assert both.base_lrs == [0.1, 0.3]
    assert [group["initial_lr"] for group in optimizer.param_groups] == [0.1, 0.3]


def test_lambda_per_group():
    optimizer = sgd(0.1, 0.3)
    scheduler = LambdaLR(optimizer, [lambda epoch: epoch, lambda epoch: 1 + epoch])
    assert lrs(optimizer) == [0.0, 0.3]
    advance(optimizer, scheduler)
    assert lrs(optimizer) == [0.1, 0.6]


@pytest.mark.parametrize("cls", [c for c in SCHEDULERS if issubclass(c, FactorScheduler)])
def test_alone_the_closed_form_is_written_exactly(cls):
    kwargs = SCHEDULERS[cls][0]
    optimizer = sgd(0.1)
    scheduler = cls(optimizer, **kwargs)
    factor = scheduler.schedule()
    rates = advance(optimizer, scheduler, steps=300)
    assert rates == [0.1 * factor(epoch) for epoch in range(1, 301)]


@every_case
def test_counters_after_construction(cls, kwargs):
    scheduler = cls(sgd(), **kwargs)
    assert (scheduler.last_epoch, scheduler._step_count) == (0, 1)
    assert scheduler._is_initial is False
    advance(scheduler.optimizer, scheduler)
    assert (scheduler.last_epoch, scheduler._step_count) == (1, 2)


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
    assert advance(optimizer, scheduler)[0] < 0.8


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
def test_tensor_rate_is_filled_in_place_and_never_aliased(cls, kwargs):
    rate = tinygrad_opt.tensor(0.5)
    optimizer = sgd(rate)
    scheduler = cls(optimizer, **kwargs)
    expected = sgd(0.5)
    twin = cls(expected, **kwargs)
    for _ in range(20):
        advance(optimizer, scheduler)
        advance(expected, twin)
        assert rate.item() == pytest.approx(lrs(expected)[0], rel=1e-6)
    group = optimizer.param_groups[0]
    assert group["lr"] is rate
    copies = [group["initial_lr"], scheduler.base_lrs[0], scheduler.get_last_lr()[0]]
    assert len({id(item) for item in [rate, *copies]}) == 4
    rate.fill_(9.0)
    assert [item.item() for item in copies] == [0.5, 0.5, pytest.approx(lrs(expected)[0], 1e-6)]


def test_tensor_rate_follows_the_closed_form_to_its_last_bit():
    rate = tinygrad_opt.tensor(0.1)
    optimizer = sgd(rate)
    scheduler = ExponentialLR(optimizer, gamma=0.999)
    start = rate.item()
    for epoch in range(1, 500):
        advance(optimizer, scheduler)
        assert rate.item() == tinygrad_opt.tensor(start * 0.999**epoch).item()


# Resuming

CHOICES = [(cls, kwargs) for cls, rows in SCHEDULERS.items() for kwargs in rows]


def build(choices):
    optimizer = sgd(0.1, 0.3)
    return optimizer, [cls(optimizer, **kwargs) for cls, kwargs in choices]


@settings(deadline=None, max_examples=60)
@given(
    choices=st.lists(st.sampled_from(CHOICES), min_size=1, max_size=3),
    before=st.integers(0, 60),
    after=st.integers(1, 60),
    by_hand=st.none() | st.floats(1e-3, 1.0),
)
def test_resuming_gives_the_same_bits(choices, before, after, by_hand):
    optimizer, schedulers = build(choices)
    advance(optimizer, *schedulers, steps=before)
    if by_hand is not None:
        optimizer.param_groups[1]["lr"] = by_hand
    saved = [through_json(scheduler.state_dict()) for scheduler in schedulers]

    resumed, others = build(choices)
    resumed.load_state_dict(optimizer.state_dict())
    for scheduler, state in zip(others, saved, strict=True):
        scheduler.load_state_dict(state)
    for _ in range(after):
        advance(optimizer, *schedulers)
        advance(resumed, *others)
        assert lrs(resumed) == lrs(optimizer)
    for scheduler, other in zip(schedulers, others, strict=True):
        assert other.state_dict() == scheduler.state_dict()


@every_case
def test_state_dict_keys_are_pytorchs(cls, kwargs):
    own = set(inspect.signature(cls).parameters) - {"optimizer", "last_epoch"}
    own = {"lr_lambdas"} if cls is LambdaLR else own
    shared = {"base_lrs", "last_epoch", "_step_count", "_is_initial", "_last_lr"}
    shared.add("_get_lr_called_within_step")
    assert set(cls(sgd(), **kwargs).state_dict()) == shared | own


def test_state_of_lambdas():
    optimizer = sgd(0.1, 0.3)
    scheduler = LambdaLR(optimizer, [inverse_root, Power(0.5)])
    state = through_json(scheduler.state_dict())
    assert state["lr_lambdas"] == [None, {"base": 0.5}]
    other = LambdaLR(sgd(0.1, 0.3), [inverse_root, Power(0.25)])
    other.load_state_dict(state)
    assert other.lr_lambdas[1].base == 0.5
    assert "lr_lambdas" in state


def test_state_with_too_many_groups_is_refused():
    state = StepLR(sgd(0.1, 0.2), 3).state_dict()
    with pytest.raises(ValueError, match=r"StepLR: the state has 2 parameter groups, .* 1$"):
        StepLR(sgd(), 3).load_state_dict(state)


@pytest.mark.parametrize(
    ("cls", "kwargs", "held", "next_one"),
    [
        (ExponentialLR, {"gamma": 0.5}, 0.4, 0.2),
        (InverseTimeLR, {"decay_rate": 1}, 0.4, 0.4 * (1 / 7) / (1 / 6)),
        (StepLR, {"step_size": 5, "gamma": 0.5}, 0.2, 0.2),
        (ConstantLR, {"factor": 0.5, "total_iters": 5}, 0.8, 0.8),
        (LambdaLR, {"lr_lambda": lambda epoch: epoch}, 4.0, 0.8 * 6),
    ],
)
def test_last_epoch_resumes_as_in_pytorch(cls, kwargs, held, next_one):
    optimizer = sgd(0.4)
    optimizer.param_groups[0]["initial_lr"] = 0.8
    scheduler = cls(optimizer, **kwargs, last_epoch=4)
    assert scheduler.last_epoch == 5
    assert lrs(optimizer) == pytest.approx([held], rel=1e-15)
    assert advance(optimizer, scheduler) == pytest.approx([next_one], rel=1e-15)


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


def test_the_old_name_can_be_derived_from():
    assert issubclass(lr_scheduler._LRScheduler, LRScheduler)
    assert lr_scheduler._LRScheduler.__name__ == "_LRScheduler"


def test_the_bases_say_what_is_missing():
    optimizer = sgd(0.8)
    with pytest.raises(NotImplementedError, match=r"LRScheduler does not define get_lr\(\)"):
        LRScheduler(optimizer)
    with pytest.raises(NotImplementedError, match=r"FactorScheduler does not define schedule\(\)"):
        FactorScheduler(optimizer)
    assert "initial_lr" not in optimizer.param_groups[0]


# Warnings


@every_case
def test_step_with_an_epoch_jumps_and_warns(cls, kwargs):
    optimizer, walked = sgd(0.3), sgd(0.3)
    scheduler, other = cls(optimizer, **kwargs), cls(walked, **kwargs)
    optimizer.step()
    with pytest.warns(UserWarning, match="epoch argument of .* is deprecated") as caught:
        scheduler.step(17)
    assert [str(w.message) for w in caught] == [lr_scheduler.EPOCH_DEPRECATION_WARNING]
    assert caught[0].filename == __file__
    advance(walked, other, steps=17)
    assert scheduler.last_epoch == 17
    assert lrs(optimizer) == lrs(walked)
    assert advance(optimizer, scheduler, steps=30) == advance(walked, other, steps=30)


@every_case
def test_get_lr_outside_step_warns(cls, kwargs):
    scheduler = cls(sgd(), **kwargs)
    with pytest.warns(UserWarning, match=r"please use `get_last_lr\(\)`") as caught:
        scheduler.get_lr()
    assert caught[0].filename == __file__


def test_scheduler_before_optimizer_warns_once():
    scheduler = StepLR(sgd(), step_size=3)
    before = r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`"
    with pytest.warns(UserWarning, match=before) as caught:
        scheduler.step()
    assert "how-to-adjust-learning-rate" in str(caught[0].message)
    assert caught[0].filename == __file__
    scheduler.step()  # a second warning would be an error here


def test_overridden_optimizer_step_warns():
    optimizer = sgd()
    scheduler = StepLR(optimizer, step_size=3)
    original = optimizer.step
    optimizer.step = types.MethodType(lambda self, closure=None: original(closure), optimizer)
    optimizer.step()
    overridden = r"`optimizer.step\(\)` has been overridden"
    with pytest.warns(UserWarning, match=overridden) as caught:
        scheduler.step()
    assert "how-to-adjust-learning-rate" in str(caught[0].message)


def test_step_overridden_before_construction_does_not_warn():
    optimizer = sgd()
    optimizer.step = lambda closure=None: None  # of this one no call can be seen
    advance(optimizer, StepLR(optimizer, step_size=3), steps=2)


# Errors


def test_not_an_optimizer():
    for build_one in (lambda: StepLR(1, 3), lambda: LambdaLR(1, inverse_root)):
        with pytest.raises(TypeError, match="LR: int is not an Optimizer"):
            build_one()


@every_case
def test_verbose_is_gone(cls, kwargs):
    with pytest.raises(TypeError, match="verbose"):
        cls(sgd(), **kwargs, verbose=True)


@every_case
def test_resuming_without_initial_lr(cls, kwargs):
    optimizer = sgd(0.1, 0.2)
    optimizer.param_groups[0]["initial_lr"] = 0.1
    with pytest.raises(KeyError, match=r"'initial_lr' is not specified in param_groups\[1\]"):
        cls(optimizer, **kwargs, last_epoch=0)
    assert "initial_lr" not in optimizer.param_groups[1]


@pytest.mark.parametrize("last_epoch", [-2, 1.5, None])
def test_bad_last_epoch(last_epoch):
    with pytest.raises(ValueError, match=r"StepLR: last_epoch must be an integer, at least -1"):
        StepLR(sgd(), 3, last_epoch=last_epoch)


@pytest.mark.parametrize(
    ("cls", "kwargs", "error", "message"),
    [
        (ConstantLR, {"factor": 1.5}, ValueError, "ConstantLR: .*between 0 and 1.*factor=1.5"),
        (ConstantLR, {"total_iters": -1}, ValueError, "ConstantLR: total_iters .*got -1"),
        (StepLR, {"step_size": 0}, ValueError, "StepLR: step_size .*at least 1, got 0"),
        (StepLR, {"step_size": 3, "gamma": "x"}, ValueError, "StepLR: gamma .*got 'x'"),
        (ExponentialLR, {"gamma": -1}, ValueError, "ExponentialLR: gamma .*got -1"),
        (InverseTimeLR, {"decay_rate": -1}, ValueError, "InverseTimeLR: decay_rate .*got -1"),
        (LambdaLR, {"lr_lambda": [inverse_root]}, ValueError, "Expected 2 lr_lambdas, but got 1"),
        (LambdaLR, {"lr_lambda": 0.5}, TypeError, "should be a function, but got float"),
        (LambdaLR, {"lr_lambda": lambda epoch: None}, TypeError, "NoneType"),
        (LambdaLR, {"lr_lambda": lambda epoch: 1 / epoch}, ZeroDivisionError, "division"),
    ],
)
def test_a_failed_construction_leaves_the_optimizer_alone(cls, kwargs, error, message):
    optimizer = sgd(0.1, 0.2)
    before = [dict(group) for group in optimizer.param_groups]
    with pytest.raises(error, match=message):
        cls(optimizer, **kwargs)
    assert [set(group) for group in optimizer.param_groups] == [set(group) for group in before]
    assert lrs(optimizer) == [0.1, 0.2]


def test_a_failed_step_changes_nothing():
    optimizer = sgd(0.1, 0.2)
    scheduler = LambdaLR(optimizer, [lambda epoch: 1.0, lambda epoch: [1.0, None][epoch]])
    optimizer.step()
    with pytest.raises(TypeError):
        scheduler.step()
    assert lrs(optimizer) == [0.1, 0.2] == scheduler.get_last_lr()
    assert (scheduler.last_epoch, scheduler._step_count) == (0, 1)
    assert scheduler._get_lr_called_within_step is False


@every_case
def test_no_reference_cycle(cls, kwargs):
    gc.collect()
    gc.disable()
    try:
        optimizer = sgd()
        scheduler = cls(optimizer, **kwargs)
        advance(optimizer, scheduler, steps=2)
        dead = weakref.ref(optimizer), weakref.ref(scheduler)
        del optimizer, scheduler
        assert [reference() for reference in dead] == [None, None]
    finally:
        gc.enable()


# Against PyTorch


def twins(choices, rates=(0.1, 0.3)):
    """Our optimizer with its schedulers, and PyTorch's with the same."""
    torch = pytest.importorskip("torch")
    twin = torch.optim.SGD(
        [{"params": [torch.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
    )
    theirs = [peer(torch, twin, cls, **kwargs) for cls, kwargs in choices]
    optimizer = sgd(*rates)
    return (optimizer, [cls(optimizer, **kwargs) for cls, kwargs in choices]), (twin, theirs)


def peer(torch, optimizer, cls, **kwargs):
    if cls is InverseTimeLR:  # PyTorch has none: its own recurrence, through MultiplicativeLR
        k = kwargs["decay_rate"]
        return torch.optim.lr_scheduler.MultiplicativeLR(
            optimizer, lambda epoch: (1 + k * (epoch - 1)) / (1 + k * epoch)
        )
    return getattr(torch.optim.lr_scheduler, cls.__name__)(optimizer, **kwargs)


def assert_same_course(ours, theirs, steps):
    for epoch in range(1, steps + 1):
        advance(ours[0], *ours[1])
        advance(theirs[0], *theirs[1])
        for rate, expected in zip(lrs(ours[0]), lrs(theirs[0]), strict=True):
            assert math.isclose(rate, expected, rel_tol=1e-12), epoch


@pytest.mark.peers
@every_case
def test_ten_thousand_steps_as_pytorch(cls, kwargs):
    assert_same_course(*twins([(cls, kwargs)]), steps=10_000)


@pytest.mark.peers
@pytest.mark.parametrize(
    "choices",
    [
        [(ConstantLR, {"factor": 0.1, "total_iters": 2}), (ExponentialLR, {"gamma": 0.9})],
        [(ExponentialLR, {"gamma": 0.9}), (ConstantLR, {"factor": 0.1, "total_iters": 2})],
        [(ExponentialLR, {"gamma": 0.95}), (StepLR, {"step_size": 30})],
        [(StepLR, {"step_size": 3, "gamma": 0.8}), (StepLR, {"step_size": 5, "gamma": 0.9})],
        [(ConstantLR, {"factor": 0.3}), (ConstantLR, {"factor": 0.5, "total_iters": 7})],
        [(ExponentialLR, {"gamma": 0.9}), (LambdaLR, {"lr_lambda": inverse_root})],
        [(LambdaLR, {"lr_lambda": inverse_root}), (ExponentialLR, {"gamma": 0.9})],
        [(InverseTimeLR, {"decay_rate": 0.1}), (StepLR, {"step_size": 9, "gamma": 0.5})],
    ],
)
def test_two_schedulers_as_pytorch(choices):
    ours, theirs = twins(choices)
    assert lrs(ours[0]) == pytest.approx(lrs(theirs[0]), rel=1e-12)
    assert_same_course(ours, theirs, steps=300)


@pytest.mark.peers
@every_case
def test_changes_by_hand_as_pytorch(cls, kwargs):
    ours, theirs = twins([(cls, kwargs)])
    for rate in (0.25, 1e-3, 0.7):
        for optimizer in (ours[0], theirs[0]):
            optimizer.param_groups[1]["lr"] = rate
        assert_same_course(ours, theirs, steps=33)


@pytest.mark.peers
@pytest.mark.parametrize("last_epoch", [0, 4, 6, 39])
@pytest.mark.parametrize(
    ("cls", "kwargs"), [case for case in CASES if case.values[0] is not InverseTimeLR]
)
def test_last_epoch_as_pytorch(cls, kwargs, last_epoch):
    (optimizer, _), (twin, _) = twins([])
    torch = pytest.importorskip("torch")
    for group in [*optimizer.param_groups, *twin.param_groups]:
        group["initial_lr"] = 0.8
    ours = cls(optimizer, **kwargs, last_epoch=last_epoch)
    theirs = peer(torch, twin, cls, **kwargs, last_epoch=last_epoch)
    assert lrs(optimizer) == pytest.approx(lrs(twin), rel=1e-12)
    assert ours.last_epoch == theirs.last_epoch
    assert_same_course((optimizer, [ours]), (twin, [theirs]), steps=50)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("cls", "kwargs"), [case for case in CASES if case.values[0] is not InverseTimeLR]
)
def test_state_dict_as_pytorch(cls, kwargs):
    ours, theirs = twins([(cls, kwargs)])
    advance(ours[0], *ours[1], steps=12)
    advance(theirs[0], *theirs[1], steps=12)
    mine, peers = ours[1][0].state_dict(), theirs[1][0].state_dict()
    assert mine.pop("_last_lr") == pytest.approx(peers.pop("_last_lr"), rel=1e-12)
    assert mine == peers


@pytest.mark.peers
def test_jumps_and_a_late_group_as_pytorch():
    torch = pytest.importorskip("torch")
    ours, theirs = twins([(ExponentialLR, {"gamma": 0.9}), (StepLR, {"step_size": 4})])
    for optimizer, schedulers in (ours, theirs):
        advance(optimizer, *schedulers)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            schedulers[0].step(10)
        schedulers[1].last_epoch = 2
    assert_same_course(ours, theirs, steps=9)
    late = tinygrad_opt.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    for (optimizer, _), parameter in zip((ours, theirs), late, strict=True):
        optimizer.add_param_group({"params": [parameter], "lr": 0.5})
    assert_same_course(ours, theirs, steps=9)
