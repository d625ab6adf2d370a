"""Random numbers at the ends of their ranges, and settings that no distribution has."""

import math
import re

import numpy as np
import pytest
from refusals import both_refuse

import tinygrad_opt as tg
from tinygrad_opt.arrays import drawing
from tinygrad_opt.kernels.compiler import draws
from tinygrad_opt.kernels.fused import random_vectors

FLOATS = ("float16", "float32", "float64")
RANGES = [(0, 4), (1, 2), (0.1, 0.3), (-1, 1), (1000, 1001), (-3, -1), (2, 2)]


def _words(monkeypatch, word):
    """Have the generator give one word for ever, in kernels that run as plain Python."""

    def load(name, render):
        space = {}
        exec(re.sub(r"^(from numba.*|@njit.*)$", "", render(False), flags=re.M), space)
        return space[name]

    monkeypatch.setattr(draws, "rounds", lambda words, *_: [f"{w} = uint64({word})" for w in words])
    monkeypatch.setattr(random_vectors.cache, "load", load)
    monkeypatch.setattr(drawing, "VECTORS", type(random_vectors.VECTORS)())


@pytest.fixture
def last_number(monkeypatch):
    _words(monkeypatch, 0xFFFFFFFF)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.usefixtures("last_number")
def test_nothing_reaches_the_open_end(dtype):
    dtype = getattr(tg, dtype)
    one = tg.rand(1, dtype=dtype)
    assert one.item() == 1 - np.finfo(dtype).epsneg
    for low, high in RANGES:
        x = tg.empty(2, dtype=dtype).uniform_(low, high)
        assert low == high or low < x[0].item() < high, (low, high)
        assert tg.nn.init.uniform_(x, low, high)[0].item() <= high
    assert tg.empty(1, dtype=dtype).exponential_().item() > 0
    assert tg.empty(1, dtype=dtype).geometric_(0.5).item() == 1
    for low, high in ((-5, 5), (0, 2**32), (-(2**61), 2**61)):
        assert tg.randint(low, high, (1,)).item() == high - 1


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_smallest_word_gives_finite_numbers(dtype, monkeypatch):
    _words(monkeypatch, 0)
    dtype = getattr(tg, dtype)
    assert tg.rand(1, dtype=dtype).item() == 0
    largest = {tg.float64: 8.653}.get(dtype, 6.660)  # sqrt(-2 log 2^-54), sqrt(-2 log 2^-32)
    assert abs(tg.randn(1, dtype=dtype).item()) == pytest.approx(largest, abs=0.01)
    assert tg.empty(1, dtype=dtype).exponential_().item() == pytest.approx(largest**2 / 2, rel=0.01)
    assert tg.bernoulli(tg.zeros(1, dtype=dtype)).item() == 0
    assert tg.empty(1, dtype=dtype).bernoulli_(2.0**-40).item() == 1


def test_float16_is_uniform():
    x = tg.rand(200_000, dtype=tg.float16).double()
    assert x.mean().item() == pytest.approx(0.5, abs=0.003)
    assert (x * 2**11 % 1 == 0).all()
    assert len(set(x.tolist())) == 2**11


def test_geometric_stays_in_the_type():
    x = tg.empty(1000, dtype=tg.int8).geometric_(1e-4)
    assert (x.min().item() > 0, x.max().item()) == (True, 127)


def test_whole_range():
    assert tg.empty(100, dtype=tg.bool).random_().any()
    assert tg.empty(100_000, dtype=tg.int8).random_().max().item() == 127
    assert set(tg.empty(100, dtype=tg.uint8).random_(254, 256).tolist()) == {254, 255}


def test_poisson_of_any_rate():
    x = tg.poisson(tg.tensor([0.0, 1e30, math.inf], dtype=tg.float64))
    assert (x[0].item(), x[2].item()) == (0, math.inf)
    assert x[1].item() == pytest.approx(1e30, rel=1e-13)


def test_multinomial_never_draws_weight_zero():
    weights = tg.tensor([0.0, 1e308, 0.0, 1e308, 0.0], dtype=tg.float64)
    drawn = tg.multinomial(weights, 10_000, replacement=True)
    assert set(drawn.tolist()) == {1, 3}
    assert set(tg.multinomial(weights, 2).tolist()) == {1, 3}


nan, inf = math.nan, math.inf
SETTINGS = {
    "uniform, order": (RuntimeError, r"found from=2 > to=1", lambda m: m.empty(1).uniform_(2, 1)),
    "uniform, nan": (RuntimeError, "from is out of bounds", lambda m: m.empty(1).uniform_(nan, 1)),
    "uniform, inf": (RuntimeError, "to is out of bounds", lambda m: m.empty(1).uniform_(0, inf)),
    "uniform, range": (RuntimeError, "uniform_ expects to-from <=",
                       lambda m: m.empty(1).uniform_(-3e38, 3e38)),
    "uniform, type": (NotImplementedError, "not implemented for 'Long'",
                      lambda m: m.empty(1, dtype=m.int64).uniform_()),
    "init.uniform": (RuntimeError, r"found from=2.* > to=1",
                     lambda m: m.nn.init.uniform_(m.empty(1), 2, 1)),
    "normal_": (RuntimeError, "normal expects std >= 0.0, but found std -1",
                lambda m: m.empty(1).normal_(0, -1)),
    "normal_, nan": (RuntimeError, "normal expects std >= 0.0, but found std nan",
                     lambda m: m.empty(1).normal_(0, nan)),
    "normal_, type": (NotImplementedError, "not implemented for 'Long'",
                      lambda m: m.empty(1, dtype=m.int64).normal_()),
    "init.normal": (RuntimeError, "normal expects std >= 0.0",
                    lambda m: m.nn.init.normal_(m.empty(1), 0, -1)),
    "normal": (RuntimeError, "normal expects std >= 0.0",
               lambda m: m.normal(m.zeros(1), -1.0)),
    "normal, tensor": (RuntimeError, "normal expects all elements of std >= 0.0",
                       lambda m: m.normal(m.zeros(2), m.tensor([1.0, -1.0]))),
    "normal, nan": (RuntimeError, "normal expects all elements of std >= 0.0",
                    lambda m: m.normal(m.zeros(2), m.tensor([1.0, nan]))),
    "normal, type": (NotImplementedError, "not implemented for 'Long'",
                     lambda m: m.normal(m.zeros(2, dtype=m.int64), 1.0)),
    "normal, shapes": (RuntimeError, "do not broadcast|must match the size",
                       lambda m: m.normal(m.zeros(2), m.ones(3))),
    "exponential, nan": (RuntimeError, "exponential_ expects lambda > 0.0",
                         lambda m: m.empty(1).exponential_(nan)),
    "geometric, bool": (NotImplementedError, "not implemented for 'Bool'",
                        lambda m: m.empty(1, dtype=m.bool).geometric_(0.5)),
    "log_normal, type": (NotImplementedError, "not implemented for 'Long'",
                         lambda m: m.empty(1, dtype=m.int64).log_normal_()),
    "bernoulli_, nan": (RuntimeError, r"bernoulli_ expects p to be in \[0, 1\]",
                        lambda m: m.empty(1).bernoulli_(nan)),
    "multinomial, type": (RuntimeError, "only supports floating-point dtypes for input, got: Long",
                          lambda m: m.multinomial(m.tensor([1, 2]), 1)),
    "randint, uint8": (RuntimeError, "to - 1 is out of bounds",
                       lambda m: m.randint(0, 300, (1,), dtype=m.uint8)),
    "randint, below": (RuntimeError, "from is out of bounds",
                       lambda m: m.randint(-1, 3, (1,), dtype=m.uint8)),
    "randint, half": (RuntimeError, "to - 1 is out of bounds",
                      lambda m: m.randint(0, 70000, (1,), dtype=m.float16)),
    "randint, float": (TypeError, "'high'.* must be int, not float",
                       lambda m: m.randint(2.5, (1,))),
    "random_, zero": (RuntimeError, "got from=0 >= to=0",
                      lambda m: m.empty(1, dtype=m.int64).random_(0)),
    "random_, int8": (RuntimeError, "to - 1 is out of bounds",
                      lambda m: m.empty(1, dtype=m.int8).random_(300)),
    "randperm, uint8": (RuntimeError, "uint8 cannot hold 0|value cannot be converted",
                        lambda m: m.randperm(300, dtype=m.uint8)),
    "randperm, half": (RuntimeError, "float16 cannot hold|cannot be greater than 2049",
                       lambda m: m.randperm(3000, dtype=m.float16)),
    "poisson, type": (NotImplementedError, "not implemented for 'Long'",
                      lambda m: m.poisson(m.tensor([1]))),
    "trunc_normal, order": (RuntimeError, "found from=2 > to=1|from=2.0 > to=1.0",
                            lambda m: m.nn.init.trunc_normal_(m.empty(1), 1.5, 1.0, 2.0, 1.0)),
    "trunc_normal, std": (ZeroDivisionError, "std must not be 0|division by zero",
                          lambda m: m.nn.init.trunc_normal_(m.empty(1), 0.0, 0.0)),
}  # fmt: skip
test_settings_are_checked, test_settings_are_checked_as_pytorch = both_refuse(SETTINGS)


def test_too_few_weights_are_refused():  # PyTorch draws those of weight 0
    with pytest.raises(RuntimeError, match="not enough non-zero categories to sample 2"):
        tg.multinomial(tg.tensor([1.0, 0.0, 0.0]), 2)
