"""L-BFGS: against PyTorch, on functions with known minima, its line search, its state."""

from __future__ import annotations

import copy
import inspect
import math

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.optim.lbfgs import Point, strong_wolfe

SETTINGS = [
    dict(lr=0.01, max_iter=4),
    dict(lr=0.02, max_iter=8, max_eval=3),
    dict(lr=0.01, max_iter=10, tolerance_grad=205.0),
    dict(lr=0.01, max_iter=10, tolerance_change=0.05),
    dict(line_search_fn="strong_wolfe", max_iter=5),
    dict(line_search_fn="strong_wolfe", max_iter=3, history_size=2),
    dict(line_search_fn="strong_wolfe", max_iter=5, max_eval=6, lr=0.3),
    dict(line_search_fn="strong_wolfe", max_iter=20),
]
every_setting = pytest.mark.parametrize("settings", SETTINGS, ids=str)


class Valley:
    """Rosenbrock's function of two pairs, (x, y) of shapes (2,) and (1, 2)."""

    def __init__(self, library, dtype="float64"):
        kind = getattr(library, dtype)
        self.x = library.tensor([-1.2, 0.3], dtype=kind).requires_grad_()
        self.y = library.tensor([[1.0, -0.5]], dtype=kind).requires_grad_()
        self.evaluations = 0

    def closure(self):
        self.evaluations += 1
        self.x.grad = self.y.grad = None
        loss = ((1 - self.x) ** 2).sum() + 100 * ((self.y - self.x * self.x) ** 2).sum()
        loss.backward()
        return loss

    def place(self):
        values = [p.detach().numpy().ravel().astype(float) for p in (self.x, self.y)]
        return np.concatenate(values)

    def run(self, cls, steps, **settings):
        optimizer = cls([self.x, self.y], **settings)
        path = []
        for _ in range(steps):
            path += [optimizer.step(self.closure).item(), *self.place()]
        return np.array(path), optimizer


def relative_error(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


# Against PyTorch ----------------------------------------------------------------------------------


@pytest.mark.peers
@every_setting
@pytest.mark.parametrize("steps", [1, 3])
def test_it_goes_pytorchs_way(settings, steps, torch):
    mine, theirs = Valley(tg), Valley(torch)
    a, one = mine.run(optim.LBFGS, steps, **settings)
    b, two = theirs.run(torch.optim.LBFGS, steps, **settings)
    assert mine.evaluations == theirs.evaluations
    assert relative_error(a, b) < (1e-12 if mine.evaluations < 30 else 1e-8)
    state, other = one.state_dict()["state"][0], two.state_dict()["state"][0]
    assert list(state) == list(other)
    assert (state["func_evals"], state["n_iter"]) == (other["func_evals"], other["n_iter"])
    assert len(state["old_dirs"]) == len(other["old_dirs"])
    assert one.state_dict()["param_groups"] == two.state_dict()["param_groups"]


@pytest.mark.peers
def test_float32_goes_pytorchs_way_for_a_while(torch):
    settings = dict(line_search_fn="strong_wolfe", max_iter=5)
    a, _ = Valley(tg, "float32").run(optim.LBFGS, 1, **settings)
    b, _ = Valley(torch, "float32").run(torch.optim.LBFGS, 1, **settings)
    assert relative_error(a, b) < 1e-4


@pytest.mark.peers
def test_arguments_and_defaults_are_pytorchs(torch):
    mine, theirs = (inspect.signature(lib.optim.LBFGS).parameters for lib in (tg, torch))
    assert {n: p.default for n, p in mine.items()} == {n: p.default for n, p in theirs.items()}


@pytest.mark.peers
def test_state_dicts_cross_to_pytorch_and_back(torch):
    settings = dict(line_search_fn="strong_wolfe", max_iter=3, history_size=4)
    expected, _ = Valley(torch).run(torch.optim.LBFGS, 3, **settings)
    here, there, last = Valley(tg), Valley(torch), Valley(tg)
    _, one = here.run(optim.LBFGS, 1, **settings)
    two = torch.optim.LBFGS([there.x, there.y])
    two.load_state_dict(_converted(one.state_dict(), tg.Tensor, torch.tensor))
    with torch.no_grad():
        there.x.copy_(torch.tensor(here.x.detach().numpy()))
        there.y.copy_(torch.tensor(here.y.detach().numpy()))
    two.step(there.closure)
    three = optim.LBFGS([last.x, last.y])
    three.load_state_dict(two.state_dict())  # PyTorch's tensors as they are
    last.x.data, last.y.data = (tg.tensor(p.detach().numpy()) for p in (there.x, there.y))
    three.step(last.closure)
    assert relative_error(last.place(), expected[-4:]) < 1e-12


def _converted(value, kind, make):
    if isinstance(value, dict):
        return {key: _converted(x, kind, make) for key, x in value.items()}
    if isinstance(value, list):
        return [_converted(x, kind, make) for x in value]
    return make(value.numpy()) if isinstance(value, kind) else value


# On its own ---------------------------------------------------------------------------------------


def test_a_quadratic_is_solved_in_as_many_steps_as_it_has_dimensions():
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((6, 6))
    matrix = matrix @ matrix.T + np.eye(6)
    solution = rng.standard_normal(6)
    a, b = tg.tensor(matrix), tg.tensor(matrix @ solution)
    x = tg.zeros(6, dtype=tg.float64, requires_grad=True)
    optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe", max_iter=30, tolerance_change=0)

    def closure():
        optimizer.zero_grad()
        loss = 0.5 * (x * (a @ x)).sum() - (b * x).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(x.detach().numpy(), solution, atol=1e-6)
    assert optimizer.state[x]["n_iter"] < 25


def test_the_valley_is_left_at_its_end():
    valley = Valley(tg)
    valley.run(optim.LBFGS, 4, line_search_fn="strong_wolfe")
    np.testing.assert_allclose(valley.place(), 1.0, atol=1e-5)


def test_every_setting_changes_the_result():
    base = dict(lr=0.01, max_iter=6)
    other = dict(lr=0.02, max_iter=4, max_eval=3, tolerance_grad=205.0, tolerance_change=0.05,
                 history_size=1, line_search_fn="strong_wolfe")  # fmt: skip
    assert set(other) == set(inspect.signature(optim.LBFGS).parameters) - {"params"}
    a, _ = Valley(tg).run(optim.LBFGS, 2, **base)
    for name, value in other.items():
        b, _ = Valley(tg).run(optim.LBFGS, 2, **{**base, name: value})
        assert relative_error(a, b) > 1e-6, f"{name} does nothing"


@every_setting
def test_resuming_in_mid_run_gives_the_same_bits(settings):
    one, two = Valley(tg, "float32"), Valley(tg, "float32")
    _, optimizer = one.run(optim.LBFGS, 2, **settings)
    saved = copy.deepcopy(optimizer.state_dict())
    two.x.data, two.y.data = one.x.detach().clone(), one.y.detach().clone()
    resumed = optim.LBFGS([two.x, two.y])
    resumed.load_state_dict(saved)
    for _ in range(2):
        optimizer.step(one.closure)
        resumed.step(two.closure)
    assert one.place().tolist() == two.place().tolist()


def test_parameters_without_gradient_count_as_zeros():
    valley = Valley(tg)
    idle = tg.ones(3, dtype=tg.float64, requires_grad=True)
    optimizer = optim.LBFGS([idle, valley.x, valley.y], line_search_fn="strong_wolfe")
    optimizer.step(valley.closure)
    expected = Valley(tg)
    expected.run(optim.LBFGS, 1, line_search_fn="strong_wolfe")
    assert idle.tolist() == [1.0] * 3
    assert relative_error(valley.place(), expected.place()) < 1e-9
    assert optimizer.state[idle]["n_iter"] > 5  # the first parameter holds the state


def test_it_steps_parameters_where_they_lie():
    expected, _ = Valley(tg).run(optim.LBFGS, 2, lr=0.01)
    flat, scattered = Valley(tg), Valley(tg)
    flat.closure()
    optim.SGD([flat.x, flat.y], lr=0.0).step()  # moves both into a flat buffer
    flat.evaluations = 0
    assert flat.x.array.base is flat.y.array.base is not None
    base = np.zeros((2, 3))
    scattered.x, base[:, 1] = tg.from_numpy(base[:, 1]).requires_grad_(), [-1.2, 0.3]
    for valley in (flat, scattered):
        path, _ = valley.run(optim.LBFGS, 2, lr=0.01)
        assert relative_error(path, expected) < 1e-14
    assert base[:, 1].tolist() == scattered.x.tolist()


def test_a_minimum_is_not_left():
    p = tg.zeros(2, requires_grad=True)
    optimizer = optim.LBFGS([p])

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 0.0
    assert optimizer.state[p] == {"func_evals": 1, "n_iter": 0}


def test_a_network_is_trained():
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    x = tg.randn(30, 2)
    y = (x[:, :1] * x[:, 1:]).detach()
    optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    with tg.no_grad():  # the closure records all the same
        first = optimizer.step(closure).item()
    for _ in range(5):
        last = optimizer.step(closure).item()
    assert last < 0.02 * first


def test_mistakes():
    p, q = tg.zeros(2, requires_grad=True), tg.zeros(1, requires_grad=True)
    with pytest.raises(ValueError, match=r"LBFGS doesn't support per-parameter options \(param"):
        optim.LBFGS([{"params": [p]}, {"params": [q]}])
    with pytest.raises(ValueError, match="doesn't support per-parameter options"):
        optim.LBFGS([p]).add_param_group({"params": [q]})
    with pytest.raises(TypeError, match="closure"):
        optim.LBFGS([p]).step()
    with pytest.raises(RuntimeError, match=r"only 'strong_wolfe' is supported, got .*'wolfe'"):
        optim.LBFGS([p], line_search_fn="wolfe")
    with pytest.raises(ValueError, match="LBFGS: Invalid learning rate: -1"):
        optim.LBFGS([p], lr=-1)
    with pytest.raises(ValueError, match="parameters must be of one dtype and device, got"):
        optim.LBFGS([p, tg.zeros(1, dtype=tg.float64, requires_grad=True)])


# The line search ----------------------------------------------------------------------------------

CURVES = {  # phi, its slope, a first step
    "a parabola, too far": (lambda t: (t - 1) ** 2, lambda t: 2 * (t - 1), 30.0),
    "a parabola, too short": (lambda t: (t - 1) ** 2, lambda t: 2 * (t - 1), 1e-3),
    "more and more slowly down": (lambda t: -t / (t * t + 2),
                                  lambda t: (t * t - 2) / (t * t + 2) ** 2, 0.1),
    "flat, then steep": (lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
                         lambda t: 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3, 10.0),
    "waves": (lambda t: math.cos(3 * t) * 0.2 - t + 0.1 * t * t,
              lambda t: -0.6 * math.sin(3 * t) - 1 + 0.2 * t, 40.0),
    "overflowing": (lambda t: math.exp(t) - 3 * t if t < 700 else math.inf,
                    lambda t: math.exp(t) - 3 if t < 700 else math.inf, 1e4),
}  # fmt: skip


@pytest.mark.parametrize("curve", CURVES.values(), ids=CURVES.keys())
def test_the_line_search_ends_where_both_conditions_hold(curve):
    phi, slope, t = curve
    seen = []

    def at(t):
        seen.append(t)
        return Point(t, phi(t), None, slope(t))

    start = Point(0.0, phi(0.0), None, slope(0.0))
    found, count = strong_wolfe(at, start, t, 1.0, 25)
    assert count == len(seen) <= 26
    assert found.loss <= start.loss + 1e-4 * found.t * start.slope
    assert abs(found.slope) <= -0.9 * start.slope


def test_the_line_search_gives_up_with_the_lowest_point():
    seen = []

    def at(t):
        seen.append(t)
        return Point(t, -t, None, -1.0)  # down for ever

    found, count = strong_wolfe(at, Point(0.0, 0.0, None, -1.0), 1.0, 1.0, 3)
    assert found.t == max(seen) > 100
    assert count == len(seen) == 4
    found, count = strong_wolfe(at, Point(0.0, 0.0, None, -1.0), 1.0, 1.0, 0)
    assert (found.t, count) == (1.0, 1)
