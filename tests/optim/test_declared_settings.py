"""Settings are declared once: the constructor, checks, docs and coefficients follow from them."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
import re
from dataclasses import KW_ONLY, field
from typing import Annotated, Any

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import kernels, optim
from tinygrad_opt.kernels import update_rule
from tinygrad_opt.optim.coefficients import USUAL, formula_for
from tinygrad_opt.optim.settings import (
    Betas,
    Epsilon,
    LearningRate,
    Maximize,
    NotNegative,
    Params,
    WeightDecay,
    above_zero,
    declared,
    required,
)


def leaf(*values):
    return tg.tensor([float(v) for v in values]).requires_grad_()


@update_rule
def toy(p, g, m, sign, lr, b1, omb1):
    m = b1 * m + omb1 * sign * g
    return p - lr * m, m


@declared
class Toy(optim.Optimizer):
    """A toy.

    {settings}
    """

    rule = toy
    params: Params
    lr: LearningRate = 0.5
    betas: Betas = (0.5, 0.9)
    _: KW_ONLY
    maximize: Maximize = False
    factor: Annotated[float, above_zero, "a factor, > 0"] = 2.0


@declared
class Fixed(Toy):
    lr: LearningRate = 0.25
    factor: NotNegative = field(default=7.0, init=False)


# The constructor ----------------------------------------------------------------------------------


def test_the_signature_is_the_class_body():
    assert str(inspect.signature(Toy)) == (
        "(params: Any, lr: float | tinygrad_opt.core.tensor.Tensor = 0.5, betas: "
        "tuple[float, float] = (0.5, 0.9), *, maximize: bool = False, factor: float = 2.0) -> None"
    )
    assert Toy.__init__.__qualname__ == "Toy.__init__"
    assert Toy.__init__.__module__ == Toy.__module__


def test_python_itself_checks_the_arguments():
    p = [leaf(1.0)]
    with pytest.raises(TypeError, match=r"Toy.__init__\(\) got an unexpected .* 'lrr'"):
        Toy(p, lrr=1)
    with pytest.raises(TypeError, match=r"Toy.__init__\(\) missing 1 required .* 'params'"):
        Toy()
    with pytest.raises(TypeError, match=r"Toy.__init__\(\) takes from 2 to 4 positional"):
        Toy(p, 0.1, (0.5, 0.5), True)


def test_settings_are_in_the_groups_and_no_attributes():
    optimizer = Toy([leaf(1.0)], 0.125, maximize=True)
    settings = {"lr": 0.125, "betas": (0.5, 0.9), "maximize": True, "factor": 2.0}
    assert optimizer.defaults == settings
    assert not hasattr(optimizer, "lr")
    assert not hasattr(Toy, "betas")
    assert list(Toy._declared) == list(settings)


def test_a_subclass_changes_a_default_and_fixes_a_setting():
    assert list(inspect.signature(Fixed).parameters) == ["params", "lr", "betas", "maximize"]
    optimizer = Fixed([leaf(1.0)])
    assert optimizer.defaults["lr"] == 0.25
    assert optimizer.defaults["factor"] == 7.0
    assert Toy._declared["lr"].default == 0.5


def test_a_class_may_write_its_own_constructor():
    @declared
    class Own(optim.Optimizer):
        rule = toy
        lr: LearningRate = 1.0

        def __init__(self, params: Any) -> None:
            super().__init__(params, dict(lr=-1.0, betas=(0.5, 0.5), maximize=False))

    with pytest.raises(ValueError, match=r"Own: Invalid learning rate: -1.0"):
        Own([leaf(1.0)])

    class Halved(Toy):
        def __init__(self, params, lr):
            super().__init__(params, lr / 2, factor=3.0)

    assert Halved([leaf(1.0)], 1.0).defaults["lr"] == 0.5


def test_a_setting_without_default_is_required():
    @declared
    class Needs(optim.Optimizer):
        rule = toy
        params: Params
        lr: LearningRate
        betas: Betas = (0.5, 0.5)
        maximize: Maximize = False

    with pytest.raises(ValueError, match=r"didn't specify a value of required .* lr"):
        Needs([leaf(1.0)])
    assert Needs([{"params": [leaf(1.0)], "lr": 0.5}]).param_groups[0]["lr"] == 0.5
    assert copy.deepcopy(required) is required


def test_checks_are_made_of_defaults_and_of_every_group():
    with pytest.raises(ValueError, match=r"Toy: Invalid factor value: 0 \(must be above 0\)"):
        Toy([leaf(1.0)], factor=0)
    with pytest.raises(ValueError, match=r"Toy: Invalid factor value: -1 \(must be above 0\)"):
        Toy([{"params": [leaf(1.0)], "factor": -1}])
    with pytest.raises(ValueError, match=r"Toy: Invalid beta parameter at index 1: 2"):
        Toy([leaf(1.0)], betas=(0.5, 2))
    for name in ("lr", "eps"):
        with pytest.raises(ValueError, match=r"SparseAdam: Invalid .*: 0 \(must be positive\)"):
            optim.SparseAdam([leaf(1.0)], **{name: 0})


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
@pytest.mark.parametrize("cls", [optim.Adam, optim.AdamW, optim.NAdam, optim.RMSprop])
def test_copies_go_on_with_the_same_bits(cls, duplicate):
    optimizer = cls([leaf(1.0, -2.0)], lr=0.125)

    def step(optimizer):
        p = optimizer.param_groups[0]["params"][0]
        p.grad = tg.tensor([0.5, -1.0])
        optimizer.step()
        return p.tolist()

    step(optimizer)
    other = duplicate(optimizer)
    assert step(other) == step(optimizer)


# Documentation ------------------------------------------------------------------------------------


def test_the_docs_list_the_settings():
    lines = inspect.getdoc(Toy).splitlines()
    assert (
        lines[2:]
        == [
            "lr = 0.5: step size >= 0, a number or a one-element Tensor",
            "betas = (0.5, 0.9): how slowly the averages move, each in [0, 1)",
            "maximize = False: climb instead",
            "factor = 2.0: a factor, > 0",
            "",
        ][: len(lines) - 2]
    )


@pytest.mark.parametrize(
    "cls",
    [getattr(optim, n) for n in optim.__all__ if getattr(getattr(optim, n), "_declared", None)],
)
def test_every_setting_is_documented(cls):
    assert "{settings}" not in cls.__doc__
    for name, setting in cls._declared.items():
        assert setting.doc or name == "params"
        if setting.given:
            assert f"{name} = {setting.default!r}: " in cls.__doc__


# The usual coefficients ---------------------------------------------------------------------------

GROUP = dict(
    maximize=True, lr=tg.tensor(0.5), eps=1e-3, weight_decay=0.25, beta=0.75, alpha=0.875,
    betas=(0.5, 0.75, 0.9), rho=0.375, momentum=0.625, dampening=0.125, etas=(0.5, 1.25),
    step_sizes=(1e-6, 50),
)  # fmt: skip
VALUES = dict(
    sign=-1.0, lr=0.5, eps=1e-3, wd=0.25, decay=1 - 0.125, b=0.75, omb=0.25, b1=0.5, omb1=0.5,
    b2=0.75, omb2=0.25, b3=0.9, omb3=1 - 0.9, al=0.875, oma=0.125, rho=0.375, omr=0.625, mu=0.625,
    damp=0.875, c1=1 / (1 - 0.125), c2=1 / math.sqrt(1 - 0.421875), c3=1 / math.sqrt(1 - 0.9**3),
    shrink=0.5, grow=1.25, low=1e-6, high=50,
)  # fmt: skip


class Rule:
    """As far as coefficients go, a rule with the single one named."""

    name = "rule"

    def __init__(self, letter):
        self.coefficients = (letter,)


def value(letter, group, t, *own):
    return formula_for("", Rule(letter), tuple(group), tuple(own))(group, t, *own)[0]


def test_every_letter_has_its_value():
    assert VALUES.keys() == USUAL.keys()
    assert {letter: value(letter, GROUP, 3) for letter in USUAL} == VALUES
    assert value("sign", {"maximize": False}, 3) == 1.0
    assert value("damp", GROUP, 1) == 1.0


@pytest.mark.parametrize("name", ["decoupled_weight_decay", "decouple"])
def test_weight_decay_is_coupled_or_not(name):
    for on, wd, decay in ((True, 0.0, 0.875), (False, 0.25, 1.0)):
        assert value("wd", {**GROUP, name: on}, 3) == wd
        assert value("decay", {**GROUP, name: on}, 3) == decay


def test_a_setting_named_as_the_letter_goes_first():
    assert value("c1", {**GROUP, "c1": 7}, 3) == 7.0
    assert value("b1", {"beta1": 0.25}, 3) == 0.25
    assert value("t", GROUP, 3) == 3.0


def test_every_usual_letter_is_explained():
    explained = set(re.findall(r"\b[a-z]+\d?\b", kernels.__doc__))
    explained |= {"omb1", "omb2", "omb3", "omr", "b3"}  # "omb...", "b1, b2..."
    assert explained >= USUAL.keys()


def test_a_setting_taken_out_of_a_group_is_missed():
    optimizer = optim.Lion([leaf(1.0)])
    optimizer.param_groups[0]["params"][0].grad = tg.tensor([1.0])
    optimizer.step()
    del optimizer.param_groups[0]["betas"]
    with pytest.raises(ValueError, match=r"Lion: the rule lion has coefficients .*: omb1, omb2;"):
        optimizer.step()


def test_unused_aliases_check_as_well():
    @declared
    class Two(optim.Optimizer):
        rule = toy
        lr: LearningRate = 1.0
        betas: Betas = (0.5, 0.5)
        maximize: Maximize = False
        eps: Epsilon = 1.0
        weight_decay: WeightDecay = 0.0

    with pytest.raises(ValueError, match=r"Two: Invalid epsilon value: -1 \(must be at least 0\)"):
        Two([leaf(1.0)], eps=-1)
    with pytest.raises(ValueError, match=r"Two: Invalid weight_decay value: nan"):
        Two([leaf(1.0)], weight_decay=math.nan)


def test_an_optimizer_may_say_letters_of_its_own():
    class Halving(Toy):
        own_coefficients = {"lr": "lr / 2.0**t"}  # noqa: RUF012

    optimizer = Halving([leaf(1.0)], lr=0.5)
    group = optimizer.param_groups[0]
    usual = Toy([leaf(1.0)], lr=0.5).coefficients(group, 3)
    place = toy.coefficients.index("lr")
    assert optimizer.coefficients(group, 3)[place] == 0.5 / 8
    assert optimizer.coefficients(group, 3)[:place] == usual[:place]


def test_a_setting_that_an_own_letter_needs_is_missed():
    optimizer = optim.Adagrad([leaf(1.0)])
    del optimizer.param_groups[0]["lr_decay"]
    with pytest.raises(ValueError, match=r"Adagrad: the rule adagrad has coefficients .*: lr;"):
        optimizer.coefficients(optimizer.param_groups[0], 1)


# What users' classes may do -----------------------------------------------------------------------


def one():
    return tg.tensor([1.0, -2.0], requires_grad=True)


def test_users_may_call_their_attributes_as_they_like():
    class Mine(optim.Adam):
        def __init__(self, params, lr=0.1):
            self.settings = ("x",)
            super().__init__(params, lr)

    assert Mine([one()]).settings == ("x",)


def test_constructors_of_mixins_are_called():
    class Mixin(optim.Optimizer):
        def __init__(self, params, defaults):
            self.mixed = True
            super().__init__(params, defaults)

    class Both(optim.AdamW, Mixin):
        pass

    optimizer = Both([one()], lr=0.5)
    assert optimizer.mixed
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert not hasattr(optim.AdamW([one()]), "mixed")


@pytest.mark.parametrize(
    ("betas", "error", "text"),
    [
        ((0.9, 0.99, 0.999), ValueError, r"too many values in betas \(expected 2, got 3\)"),
        ((0.9,), ValueError, r"not enough values in betas \(expected 2, got 1\)"),
        (0.9, TypeError, "betas must be 2 numbers, got 0.9"),
        (None, TypeError, "betas must be 2 numbers, got None"),
    ],
    ids=["three", "one", "number", "nothing"],
)
def test_pairs_are_pairs(betas, error, text):
    with pytest.raises(error, match=text):
        optim.Adam([one()], betas=betas)


def test_a_pair_may_be_an_array():
    assert optim.Adam([one()], betas=np.array([0.9, 0.99])).param_groups[0]["betas"][0] == 0.9


def test_decay_is_not_done_twice_where_the_choice_is_gone():
    optimizer = optim.AdamW([p := one()], lr=0.1, weight_decay=0.5)
    (p * p).sum().backward()
    del optimizer.param_groups[0]["decoupled_weight_decay"]
    with pytest.raises(ValueError, match="coefficients that are no hyper-parameters: wd, decay"):
        optimizer.step()
    assert p.tolist() == [1.0, -2.0]


@update_rule
def scaled(p, g, lr, mu):
    return p - lr * mu * g


class Scaled(optim.Optimizer):
    rule = scaled


def test_each_group_has_its_own_letters():
    a, b = one(), one()
    groups = [{"params": [a]}, {"params": [b], "mu": 0.0}]
    optimizer = Scaled(groups, dict(lr=0.5, momentum=1.0))
    (a * a + b * b).sum().backward()
    optimizer.step()
    assert a.tolist() == [0.0, 0.0]
    assert b.tolist() == [1.0, -2.0]
    optimizer.param_groups[0]["mu"] = 0.0
    optimizer.step()
    assert a.tolist() == [0.0, 0.0]


@update_rule
def by_step(p, g, lr, t, group, rho):
    return p - lr * t * g * group * rho


class ByStep(optim.Optimizer):
    rule = by_step


def test_t_is_the_step_and_any_setting_may_have_any_name():
    p = one()
    optimizer = ByStep([p], dict(lr=0.25, t=100.0, group=1.0, float=7, rho="1"))
    (p * p).sum().backward()
    optimizer.step()
    assert p.tolist() == [0.5, -1.0]
