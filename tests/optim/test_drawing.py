"""Optimizers whose rules draw: what their numbers depend on, and what they sample."""

from math import floor, sqrt

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import optim
from tinygrad_opt.compiled import compile
from tinygrad_opt.kernels import draws, update_rule
from tinygrad_opt.kernels.draws import Normal, Uniform


@update_rule
def sgld(p, g, lr, z: Normal):
    return p - 0.5 * lr * g + sqrt(lr) * z


@update_rule
def rounded(p, g, m, lr, grid, u: Uniform):
    m = 0.5 * m + g
    return floor((p - lr * m) / grid + u) * grid, m


class SGLD(optim.Optimizer):
    rule = sgld

    def __init__(self, params, lr=0.1, seed=0):
        super().__init__(params, dict(lr=lr, seed=seed))


class Rounded(optim.Optimizer):
    rule = rounded

    def __init__(self, params, lr=0.01, grid=2**-7, seed=0):
        super().__init__(params, dict(lr=lr, grid=grid, seed=seed))


def parameters(*sizes):
    made = [tg.zeros(size, requires_grad=True) for size in sizes]
    for p in made:
        p.grad = tg.ones(*p.shape)
    return made


def stepped(optimizer, params, steps=3):
    for _ in range(steps):
        optimizer.step()
    return np.concatenate([p.detach().numpy().ravel() for p in params])


def test_a_gaussian_posterior_has_its_mean_and_variance():
    """N(3, 1/4): the chain of step lr has variance 1 / (4 (1 - lr)), of which this is a sample."""
    p = tg.zeros(20_000, requires_grad=True)
    optimizer = SGLD([p], lr=0.1)
    for _ in range(60):  # (1 - 2 lr)^60 is 1.5e-6
        p.grad = 4.0 * (p.detach() - 3.0)
        optimizer.step()
    found = p.detach().numpy().astype(np.float64)
    variance = 1 / (4 * (1 - 0.1))
    assert abs(found.mean() - 3) < 5 * sqrt(variance / found.size)
    assert abs(found.var() / variance - 1) < 5 * sqrt(2 / found.size)


def test_rounding_at_random_has_no_bias():
    (p,) = parameters(50_000)
    optimizer = Rounded([p], lr=1e-3)
    found = stepped(optimizer, [p], 5)
    assert set(np.unique(found * 128)) <= {0.0, -1.0, -2.0, -3.0, -4.0, -5.0}
    exact = -1e-3 * sum(2 - 0.5**t for t in range(5))  # m = 1, 1.5, 1.75, ...
    assert abs(found.mean() - exact) < 5 * found.std() / sqrt(found.size)


def test_groups_and_their_order_of_coming_change_nothing():
    whole = parameters(5, 1, 7)
    expected = stepped(SGLD(whole), whole)
    cut = parameters(5, 1, 7)
    np.testing.assert_array_equal(
        stepped(SGLD([{"params": cut[:1]}, {"params": cut[1:]}]), cut), expected
    )
    later = parameters(5, 1, 7)
    optimizer = SGLD(later[:2])
    optimizer.step()
    optimizer.add_param_group({"params": later[2:]})
    np.testing.assert_array_equal(stepped(optimizer, later[:2], 2), expected[:6])
    z = [draws.drawn("normal", 0, t, 13) for t in (1, 2, 3)]
    own = np.zeros(13)
    for noise in z:
        own += -0.05 + sqrt(0.1) * noise.astype(np.float64)
    np.testing.assert_allclose(expected, own, atol=1e-6)


def test_a_parameter_without_a_gradient_takes_no_place():
    p = parameters(5, 4, 7)
    q = parameters(5, 4, 7)
    q[1].grad = None
    whole, holes = stepped(SGLD(p), p, 1), stepped(SGLD(q), q, 1)
    np.testing.assert_array_equal(holes[:5], whole[:5])
    np.testing.assert_array_equal(holes[9:], whole[9:])
    assert (holes[5:9] == 0).all()


@pytest.mark.parametrize("kind", [SGLD, Rounded])
def test_a_run_goes_on_from_a_state_dict(kind):
    whole = parameters(9, 4)
    expected = stepped(kind(whole, seed=2**60 + 7), whole, 6)
    first, then = parameters(9, 4), parameters(9, 4)
    optimizer = kind(first, seed=2**60 + 7)
    stepped(optimizer, first, 3)
    resumed = kind(then, seed=1)
    resumed.load_state_dict(optimizer.state_dict())
    for p, q in zip(first, then, strict=True):
        q.data = p.data.clone()
        q.grad = p.grad
    np.testing.assert_array_equal(stepped(resumed, then, 3), expected)


def test_seeds():
    ends = []
    for seed, start in ((0, 0), (1, 0), (None, 0), (None, 0), (None, 1)):
        tg.manual_seed(start)
        p = parameters(6)
        optimizer = SGLD(p, seed=seed)
        ends.append(stepped(optimizer, p).tobytes())
        assert isinstance(optimizer.state_dict()["param_groups"][0]["seed"], int)
    assert ends[2] == ends[3]  # from the default generator
    assert len(set(ends)) == 4


def test_compiled_steps_draw_what_eager_ones_do():
    def make():
        p = tg.zeros(6, requires_grad=True)
        return p, [Rounded([p], seed=2**63 + 1), SGLD([q := tg.ones(3, requires_grad=True)])], q

    def step_of(p, optimizers, q):
        def step(x):
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss = (p * p * x).sum() + (q * q).sum()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            return loss

        return step

    (p, own, q), (p2, others, q2) = make(), make()
    eager, compiled = step_of(p, own, q), compile(step_of(p2, others, q2), strict=True)
    for t in range(6):
        if t == 4:
            own[1].param_groups[0]["seed"] = others[1].param_groups[0]["seed"] = 5
        eager(tg.ones(6))
        compiled(tg.ones(6))
    np.testing.assert_array_equal(p.detach().numpy(), p2.detach().numpy())
    np.testing.assert_allclose(q2.detach().numpy(), q.detach().numpy(), rtol=1e-6)
    assert np.abs(q.detach().numpy() - 1).max() > 0.1


def test_an_integer_of_numpys_is_a_seed():
    optimizer = SGLD(parameters(3), seed=np.int64(3))
    optimizer.step()
    assert type(optimizer.state_dict()["param_groups"][0]["seed"]) is int
    assert optimizer.param_groups[0]["seed"] == 3


def test_what_is_wrong_is_named():
    class Without(optim.Optimizer):
        rule = sgld

        def __init__(self, params, **more):
            super().__init__(params, dict(lr=0.1, **more))

    with pytest.raises(ValueError, match="Without: the rule sgld draws z: add `seed` to the defau"):
        Without(parameters(3))
    with pytest.raises(ValueError, match="SGLD: seed must be None or a whole number of 64 bits"):
        SGLD(parameters(3), seed=-1)
    with pytest.raises(ValueError, match="draws z, and keeps its states in full: leave out state"):
        Without(parameters(3), seed=0, state_dtype="bfloat16")
    optimizer = SGLD(parameters(3))
    optimizer.param_groups[0]["seed"] = "a"
    with pytest.raises(ValueError, match="SGLD: seed must be None or a whole number"):
        optimizer.step()
