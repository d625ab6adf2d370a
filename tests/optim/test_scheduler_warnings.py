"""Schedulers' warnings: jumps, get_lr outside of a step, the order of calls."""

import math
import types

import pytest
from schedulers_table import (
    SCHEDULERS,
    advance,
    build,
    every_factor,
    every_single,
    lrs,
    sgd,
)

from tinygrad_opt.optim import lr_scheduler
from tinygrad_opt.optim.lr_scheduler import (
    CosineAnnealingWarmRestarts,
    ReduceLROnPlateau,
    StepLR,
)


@every_factor
def test_step_with_an_epoch_jumps_and_warns(case):
    optimizer, walked = sgd(0.3), sgd(0.3)
    scheduler, other = build(case, optimizer), build(case, walked)
    optimizer.step()
    with pytest.warns(UserWarning, match="epoch argument of .* is deprecated") as caught:
        scheduler.step(17)
    assert [str(w.message) for w in caught] == [lr_scheduler.EPOCH_DEPRECATION_WARNING]
    assert caught[0].filename == __file__
    advance(walked, other, steps=17)
    assert scheduler.last_epoch == 17
    assert lrs(optimizer) == lrs(walked)
    assert advance(optimizer, scheduler, steps=30) == advance(walked, other, steps=30)


def test_a_plateau_warns_of_an_epoch():
    scheduler = ReduceLROnPlateau(sgd())
    with pytest.warns(UserWarning, match="epoch argument of .* is deprecated"):
        scheduler.step(1.0, epoch=5)
    assert scheduler.last_epoch == 5


def test_restarts_take_fractions_without_a_warning():
    optimizer = sgd(0.8)
    scheduler = CosineAnnealingWarmRestarts(optimizer, T_0=4)
    scheduler.step(2.0)
    assert lrs(optimizer) == pytest.approx([0.4], rel=1e-15)
    scheduler.step(5.5)
    assert lrs(optimizer) == pytest.approx([0.4 * (1 + math.cos(math.pi * 0.375))], rel=1e-15)
    assert (scheduler.last_epoch, scheduler.T_cur) == (5, 1.5)


@every_single
def test_get_lr_outside_step_warns(case):
    scheduler = build(case, sgd())
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


@pytest.mark.parametrize("name", ["SequentialLR", "ChainedScheduler"])
def test_compositions_warn_of_the_order_too(name):
    scheduler = build((name, SCHEDULERS[name][0]), sgd())
    with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler.step\(\)` before"):
        scheduler.step()


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
