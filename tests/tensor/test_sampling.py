"""Tensors drawn at random: shapes, types, distributions, errors."""

import math

import numpy as np
import pytest
from refusals import both_refuse

import tinygrad_opt as tg

N = 20_000

FILLS = {  # in-place form: (arguments, mean, standard deviation)
    "uniform_": ((2.0, 4.0), 3.0, 2 / math.sqrt(12)),
    "normal_": ((2.0, 0.5), 2.0, 0.5),
    "exponential_": ((4.0,), 0.25, 0.25),
    "bernoulli_": ((0.3,), 0.3, math.sqrt(0.21)),
    "geometric_": ((0.5,), 2.0, math.sqrt(2)),
    "log_normal_": (
        (0.0, 0.25),
        math.exp(1 / 32),
        math.exp(1 / 32) * math.sqrt(math.expm1(1 / 16)),
    ),
    "random_": ((2, 7), 4.0, math.sqrt(2)),
}
fills = pytest.mark.parametrize("name", FILLS)


@fills
def test_moments(name):
    arguments, mean, std = FILLS[name]
    x = tg.empty(N, dtype=tg.float64)
    assert getattr(x, name)(*arguments) is x
    assert x.mean().item() == pytest.approx(mean, abs=5 * std / math.sqrt(N))
    assert x.std().item() == pytest.approx(std, rel=0.06)


@fills
def test_generators_decide(name):
    arguments = FILLS[name][0]

    def drawn(seed):
        generator = tg.Generator().manual_seed(seed)
        return getattr(tg.empty(50), name)(*arguments, generator=generator).tolist()

    before = tg.get_rng_state()
    assert drawn(1) == drawn(1) != drawn(2)
    assert tg.equal(tg.get_rng_state(), before)


@pytest.mark.peers
@fills
def test_moments_are_those_of_pytorch(torch, name):
    arguments, mean, std = FILLS[name]
    x = getattr(torch.empty(N, dtype=torch.float64), name)(*arguments)
    assert x.mean().item() == pytest.approx(mean, abs=5 * std / math.sqrt(N))


def test_like_draws_what_the_shape_draws():
    like = tg.zeros(3, 4, dtype=tg.float64)
    for named, plain in ((tg.randn_like, tg.randn), (tg.rand_like, tg.rand)):
        drawn = named(like, generator=tg.Generator().manual_seed(3))
        expected = plain(3, 4, dtype=tg.float64, generator=tg.Generator().manual_seed(3))
        np.testing.assert_array_equal(drawn.array, expected.array, strict=True)


def test_cauchy_and_the_whole_range():
    x = tg.empty(N).cauchy_(1.0, 2.0)
    assert x.median().item() == pytest.approx(1, abs=0.1)
    quarter = tg.quantile(x, tg.tensor([0.25, 0.75]))
    assert (quarter[1] - quarter[0]).item() == pytest.approx(4, abs=0.3)
    assert tg.zeros(N, dtype=tg.uint8).random_().max().item() > 250
    assert tg.zeros(N).random_().max().item() > 2**23
    assert set(tg.zeros(N).random_(3).tolist()) == {0, 1, 2}


def test_bernoulli():
    p = tg.tensor([0.0, 1.0]).expand(100, 2)
    assert tg.bernoulli(p).mean(0).tolist() == [0, 1]
    assert tg.zeros(100, 2).bernoulli_(p[0]).mean(0).tolist() == [0, 1]
    assert tg.ones(9, dtype=tg.int64).bernoulli(1.0).tolist() == [1] * 9


@pytest.mark.parametrize("replacement", [True, False])
def test_multinomial(replacement):
    weights = tg.tensor([[1.0, 0.0, 3.0], [2.0, 2.0, 0.0]])
    drawn = tg.cat([tg.multinomial(weights, 1, replacement) for _ in range(2000)], 1)
    assert (drawn.shape, drawn.dtype) == ((2, 2000), tg.int64)
    shares = [tg.bincount(row, minlength=3).double() / 2000 for row in drawn]
    np.testing.assert_allclose(shares[0].array, [0.25, 0, 0.75], atol=0.05)
    np.testing.assert_allclose(shares[1].array, [0.5, 0.5, 0], atol=0.05)


def test_multinomial_without_replacement_takes_each_once():
    drawn = tg.ones(5).multinomial(5)
    assert sorted(drawn.tolist()) == [0, 1, 2, 3, 4]
    # The second draw follows the weights that are left.
    weights = tg.tensor([8.0, 1.0, 1.0])
    orders = [tuple(weights.multinomial(2).tolist()) for _ in range(3000)]
    assert orders.count((0, 1)) / 3000 == pytest.approx(0.4, abs=0.04)
    assert orders.count((1, 0)) / 3000 == pytest.approx(0.1 * 8 / 9, abs=0.03)


def test_normal_of_tensors_and_of_a_size():
    mean, std = tg.tensor([0.0, 100.0]), tg.tensor([1.0, 0.0])
    assert tg.normal(mean, std)[1].item() == 100
    assert tg.normal(mean).shape == tg.normal(0.0, std).shape == (2,)
    x = tg.normal(2.0, 3.0, (N,), dtype=tg.float64)
    assert (x.mean().item(), x.std().item()) == pytest.approx((2, 3), abs=0.1)
    with pytest.raises(TypeError, match="numbers for mean and std need a size"):
        tg.normal(0.0, 1.0)


def test_poisson():
    x = tg.poisson(tg.tensor([0.0, 4.0]).expand(N // 4, 2))
    assert x.dtype == tg.float32
    assert x.mean(0).tolist() == pytest.approx([0, 4], abs=0.2)


def test_like_and_sizes():
    model = tg.zeros(2, 3, dtype=tg.float64)
    assert tg.randint_like(model, 5, 6).tolist() == [[5] * 3] * 2
    assert tg.randint_like(model, 3).dtype == tg.float64
    assert tg.rand(size=(2, 3)).shape == tg.randint(0, 2, size=(2, 3)).shape == (2, 3)
    assert tg.randint(high=3, size=(4,)).max().item() < 3
    assert tg.randperm(4, dtype=tg.int32).dtype == tg.int32


ERRORS = {
    "normal": (RuntimeError, r"normal expects std >= 0.0, but found std",
               lambda m: m.normal(0.0, -1.0, (2,))),
    "randint": (RuntimeError, "random_ expects 'from' to be less than 'to', but got from=5 >= to=5",
                lambda m: m.randint(5, 5, (2,))),
    "random_": (RuntimeError, "random_ expects 'from' to be less than 'to'",
                lambda m: m.zeros(2).random_(5, 3)),
    "randperm": (RuntimeError, "negative", lambda m: m.randperm(-1)),
    "rand": (NotImplementedError, "not implemented for 'Long'", lambda m: m.rand(2, dtype=m.int64)),
    "bernoulli": (RuntimeError, r"Expected p_in >= 0 && p_in <= 1",
                  lambda m: m.bernoulli(m.tensor([2.0]))),
    "bernoulli, type": (NotImplementedError, "not implemented for 'Long'",
                        lambda m: m.bernoulli(m.tensor([1]))),
    "bernoulli_": (RuntimeError, r"bernoulli_ expects p to be in \[0, 1\]",
                   lambda m: m.zeros(1).bernoulli_(2.0)),
    "exponential_": (RuntimeError, "exponential_ expects lambda > 0.0",
                     lambda m: m.zeros(1).exponential_(-1.0)),
    "geometric_": (RuntimeError, r"geometric_ expects p to be in \(0, 1\)",
                   lambda m: m.zeros(1).geometric_(2.0)),
    "cauchy_": (RuntimeError, "cauchy_ expects sigma > 0.0",
                lambda m: m.zeros(1).cauchy_(0.0, -1.0)),
    "log_normal_": (RuntimeError, "log_normal_ expects std > 0.0",
                    lambda m: m.zeros(1).log_normal_(0.0, -1.0)),
    "poisson": (RuntimeError, "invalid Poisson rate", lambda m: m.poisson(m.tensor([-1.0]))),
    "multinomial": (RuntimeError, r"cannot sample n_sample > prob_dist.size\(-1\) samples without",
                    lambda m: m.multinomial(m.ones(2), 3)),
    "multinomial, none": (RuntimeError, "cannot sample n_sample <= 0 samples",
                          lambda m: m.multinomial(m.ones(2), 0)),
    "multinomial, negative": (RuntimeError, "probability tensor contains either `inf`, `nan` or",
                              lambda m: m.multinomial(m.tensor([-1.0, 2.0]), 1)),
    "multinomial, zeros": (RuntimeError, r"invalid multinomial distribution \(sum of prob",
                           lambda m: m.multinomial(m.zeros(2), 1)),
    "multinomial, axes": (RuntimeError, "prob_dist must be 1 or 2 dim",
                          lambda m: m.multinomial(m.ones(1, 1, 2), 1)),
    "zeros": (RuntimeError, "[Nn]egative dimension|must be non-negative", lambda m: m.zeros(-1)),
    "zeros, type": (TypeError, "must be tuple of ints", lambda m: m.zeros(2.5)),
    "zeros, none": (TypeError, r"zeros\(\)", lambda m: m.zeros()),
    "full": (TypeError, "argument 'size'.* must be tuple of ints, not int",
             lambda m: m.full(2, 1.0)),
    "eye": (RuntimeError, "n must be greater or equal to 0, got -1", lambda m: m.eye(-1)),
    "arange": (RuntimeError, "step must be nonzero", lambda m: m.arange(0, 5, 0)),
    "arange, sign": (RuntimeError, "upper bound and lower bound inconsistent with step sign",
                     lambda m: m.arange(0, 5, -1)),
    "linspace": (RuntimeError, "number of steps must be non-negative",
                 lambda m: m.linspace(0, 1, -1)),
    "logspace": (RuntimeError, "number of steps must be non-negative",
                 lambda m: m.logspace(0, 1, -1)),
    "finfo": (TypeError, "requires a floating point input type", lambda m: m.finfo(m.int8)),
    "iinfo": (TypeError, "iinfo", lambda m: m.iinfo(m.float32)),
    "from_numpy": (TypeError, r"expected np.ndarray \(got list\)", lambda m: m.from_numpy([1])),
    "from_numpy, type": (TypeError, r"can't convert np.ndarray of type",
                         lambda m: m.from_numpy(np.zeros(1, "U3"))),
    "asarray": (ValueError, "can't alias|copy", lambda m: m.asarray([1], copy=False)),
    "sum_to_size": (RuntimeError, "is not expandable to size",
                    lambda m: m.ones(2, 3).sum_to_size(2, 2)),
}  # fmt: skip
test_errors, test_errors_as_pytorch = both_refuse(ERRORS)


def test_by_type_of_old():
    assert tg.FloatTensor(2, 3).shape == tg.LongTensor(tg.Size((2, 3))).shape == (2, 3)
    assert tg.DoubleTensor().shape == (0,)
    assert tg.FloatTensor(np.ones(2)).dtype == tg.float32
    assert tg.LongTensor(tg.tensor([3])).tolist() == [3]
    with pytest.raises(TypeError, match=r"FloatTensor: expected a tensor of float32, got "):
        tg.FloatTensor(tg.tensor([3]))
    assert tg.Tensor(2, 3).shape == tg.Tensor(tg.Size((2, 3))).shape == (2, 3)
    assert tg.Tensor(2, 3, 4, 5).shape == (2, 3, 4, 5)
    assert not tg.Tensor(2, 3).requires_grad


def test_asarray_shares_unless_told():
    array = np.zeros(2)
    assert tg.asarray(array).array is array
    assert tg.asarray(array, copy=False).array is array
    assert not np.shares_memory(tg.asarray(array, copy=True).array, array)
    assert tg.asarray([1.0], requires_grad=True).requires_grad


def test_limits():
    assert tg.finfo(tg.float64).eps == np.finfo("float64").eps
    assert (tg.finfo().dtype, tg.iinfo(tg.uint8).max, tg.iinfo(tg.int16).bits) == (
        "float32",
        255,
        16,
    )


@pytest.mark.peers
def test_limits_as_pytorch(torch):
    for name in ("float16", "float32", "float64"):
        assert repr(tg.finfo(getattr(tg, name))) == repr(torch.finfo(getattr(torch, name)))
    for name in ("uint8", "int8", "int16", "int32", "int64"):
        ours, theirs = tg.iinfo(getattr(tg, name)), torch.iinfo(getattr(torch, name))
        assert (ours.min, ours.max, ours.bits) == (theirs.min, theirs.max, theirs.bits)
    assert repr(tg.iinfo(tg.int8)) == repr(torch.iinfo(torch.int8))
    names = ("bool", "uint8", "int8", "int32", "int64", "float16", "float32", "float64")
    for a in names:
        for b in names:
            ours, theirs = (m.promote_types(getattr(m, a), getattr(m, b)) for m in (tg, torch))
            assert str(ours) == str(theirs), (a, b)
            ours, theirs = (m.can_cast(getattr(m, a), getattr(m, b)) for m in (tg, torch))
            assert ours == theirs, (a, b)
