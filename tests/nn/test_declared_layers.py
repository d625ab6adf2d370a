"""What follows from a function: the constructor of its layer, `forward`, text and documentation."""

from __future__ import annotations

import inspect
import pickle
import typing

import pytest

import tinygrad_opt as T
from tinygrad_opt import nn, optim
from tinygrad_opt.nn import functional as F
from tinygrad_opt.nn.layer import Layer, settings
from tinygrad_opt.optim.lr_scheduler import FactorScheduler, LRScheduler, StepLR
from tinygrad_opt.optim.schedules import schedule


def between(input: T.Tensor, low: float, *, high: float = 1.0, inplace: bool = False) -> T.Tensor:
    """`input`, limited."""
    return input.clip(low, high)


class Between(Layer):
    @settings(between, high=2.0)
    def __init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"Between: low {self.low} is above high {self.high}")


def test_the_constructor_is_that_of_the_function():
    expected = "(low: 'float', *, high: 'float' = 2.0, inplace: 'bool' = False) -> 'None'"
    assert str(inspect.signature(Between)) == expected
    assert str(inspect.signature(Between.forward)) == "(self, input: 'T.Tensor') -> 'Tensor'"
    assert Between.__doc__ == "`input`, limited."
    assert Between.forward.__qualname__ == "Between.forward"
    layer = Between(-1.0)
    assert (layer.low, layer.high, layer.inplace) == (-1.0, 2.0, False)
    layer.low = 0.0  # which counts from now on
    assert layer(T.tensor([-3.0, 1.0, 3.0])).tolist() == [0.0, 1.0, 2.0]


def test_the_body_of_the_constructor_runs_last():
    with pytest.raises(ValueError, match=r"Between: low 3 is above high 2\.0"):
        Between(3)


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match=r"Between.__init__\(\) missing .*'low'"):
        Between()
    with pytest.raises(TypeError, match=r"LeakyReLU.__init__\(\) got an unexpected .*'slope'"):
        nn.LeakyReLU(slope=0.1)
    with pytest.raises(TypeError, match="ReLU: argument 1 must be Tensor, not float"):
        nn.ReLU()(1.0)


@pytest.mark.parametrize(
    "layer",
    [c for n in nn.__all__ if inspect.isclass(c := getattr(nn, n)) and issubclass(c, Layer)],
    ids=lambda c: c.__name__,
)
def test_declared_layers_have_hints(layer):
    assert typing.get_type_hints(layer.__init__)["return"] is type(None)
    assert typing.get_type_hints(layer.forward)["return"] is T.Tensor


def test_what_losses_return_is_said_where_the_function_does_not():
    assert nn.BCELoss.__doc__.startswith("-target log(input)")
    assert nn.BCELoss.__doc__.endswith('with reduction="sum" the sum, with "none" all values.')
    assert nn.KLDivLoss.__doc__.count("reduction") == 1


def test_modules_are_found_by_name():
    layer = pickle.loads(pickle.dumps(nn.Sequential(nn.LeakyReLU(0.3), nn.Softsign())))
    assert type(layer[0]) is nn.LeakyReLU
    assert layer[0].negative_slope == 0.3


def test_classes_here_and_functions_there():
    others = {nn.functional, nn.init, nn.utils}
    assert all(inspect.isclass(getattr(nn, n)) for n in nn.__all__ if getattr(nn, n) not in others)
    assert all(inspect.isfunction(getattr(F, name)) for name in F.__all__)
    public = {name: value for name, value in vars(nn).items() if not name.startswith("_")}
    assert not [name for name, value in public.items() if inspect.isfunction(value)]
    assert inspect.ismodule(nn.linear)  # and not the function, which has the same name


# Schedulers ---------------------------------------------------------------------------------------


@schedule
def halving(every: int, by: float = 0.5):
    """Let it fall every few steps.

        f(t) = by ^ floor(t / every)

    every: steps, at least 1.
    """
    return lambda step: by ** (step // every)


class HalvingLR(FactorScheduler, of=halving):
    pass


class DocumentedLR(FactorScheduler, of=halving):
    """Halve the rate.

    Not by itself.
    """


def test_a_scheduler_follows_from_its_schedule():
    optimizer = optim.SGD([T.zeros(2, requires_grad=True)], lr=0.8)
    scheduler = HalvingLR(optimizer, 2)
    assert list(inspect.signature(HalvingLR).parameters) == [
        "optimizer", "every", "by", "last_epoch"
    ]  # fmt: skip
    assert HalvingLR.settings == ("every", "by")
    assert list(scheduler.state_dict())[:2] == ["every", "by"]
    rates = []
    for _ in range(4):
        rates += scheduler.get_last_lr()
        optimizer.step()
        scheduler.step()
    assert rates == [0.8, 0.8, 0.4, 0.4]
    with pytest.raises(TypeError, match=r"HalvingLR.__init__\(\) got an unexpected .*'often'"):
        HalvingLR(optimizer, often=1)


def test_a_scheduler_is_documented_by_its_schedule():
    formula = (
        "    rate(t) = initial rate * f(t)\n    f(t) = by ^ floor(t / every)\n\n"
        "every: epochs, at least 1."
    )
    assert HalvingLR.__doc__.split("\n\n", 1) == ["Let it fall every few epochs.", formula]
    assert DocumentedLR.__doc__ == f"Halve the rate.\n\n{formula}\n\nNot by itself."


# What users' classes may do -----------------------------------------------------------------------


def test_a_function_may_stand_within_another():
    def double(input):
        """2 input."""
        return input * 2

    class Double(Layer, of=double):
        pass

    assert Double()(T.tensor([1.5])).tolist() == [3.0]


class Mixin(nn.Module):
    def __init__(self):
        super().__init__()
        self.mixed = True


@pytest.mark.parametrize("kind", [nn.LeakyReLU, nn.GELU, nn.Softmax, nn.ReLU])
def test_constructors_of_mixins_are_called(kind):
    both = type("Both", (kind, Mixin), {})
    assert both().mixed


def test_schedulers_may_be_derived_from():
    class Scaled(StepLR):
        settings = (*StepLR.settings, "extra")
        extra = 2.0

        def schedule(self):
            formula = super().schedule()
            return lambda t: formula(t) * self.extra

    class Mixed(LRScheduler):
        def __init__(self, optimizer, last_epoch=-1):
            self.mixed = True
            super().__init__(optimizer, last_epoch)

    class Both(StepLR, Mixed):
        pass

    optimizer = optim.SGD([T.zeros(1, requires_grad=True)], lr=1.0)
    assert Scaled(optimizer, 2).get_last_lr() == [2.0]
    assert Both(optim.SGD([T.zeros(1, requires_grad=True)], lr=1.0), 2).mixed
