"""Random numbers are drawn where the tensor lies: the same ones, with nothing copied there."""

import numpy as np
import pytest
from on_device import CUDA, cupy, host

import tinygrad_opt as tg
import tinygrad_opt.nn.functional as F
from tinygrad_opt import nn
from tinygrad_opt.arrays import stream_positions
from tinygrad_opt.kernels.fused.random_vectors import Vectors

# What is there before, made of a device; how something is drawn with it; and where NumPy's or
# CuPy's own functions take part, to how many ulp both agree.
DRAWS = {
    "rand": (str, lambda d: tg.rand(5, 27, device=d), 0),
    "rand, float64": (str, lambda d: tg.rand(70, dtype=tg.float64, device=d), 0),
    "rand, float16": (str, lambda d: tg.rand(9, dtype=tg.float16, device=d), 0),
    "randn": (str, lambda d: tg.randn(131, device=d), 0),
    "randn, float64": (str, lambda d: tg.randn(33, dtype=tg.float64, device=d), 0),
    "randn, complex64": (str, lambda d: tg.randn(9, dtype=tg.complex64, device=d), 0),
    "randint": (str, lambda d: tg.randint(-3, 5, (40,), device=d), 0),
    "randint, wide": (str, lambda d: tg.randint(-(2**62), 2**62, (20,), device=d), 0),
    "rand_like": (lambda d: tg.zeros(3, 3, device=d), tg.rand_like, 0),
    "normal": (str, lambda d: tg.normal(2.0, 0.5, (7,), device=d), 0),
    "normal of tensors": (lambda d: tg.ones(7, device=d), lambda x: tg.normal(x, x), 0),
    "bernoulli": (lambda d: tg.full((30,), 0.4, device=d), tg.bernoulli, 0),
    "uniform_": (lambda d: tg.empty(6, device=d), lambda x: x.uniform_(-2, 3), 0),
    "uniform_ of a view": (
        lambda d: tg.zeros(6, 4, device=d)[:, 1:3], lambda x: x.uniform_(-2, 3), 0,
    ),
    "normal_": (lambda d: tg.empty(6, device=d), lambda x: x.normal_(1, 2), 0),
    "exponential_": (lambda d: tg.empty(80, device=d), lambda x: x.exponential_(2.0), 0),
    "random_": (lambda d: tg.empty(6, dtype=tg.int32, device=d), lambda x: x.random_(), 0),
    "bernoulli_": (lambda d: tg.empty(70, device=d), lambda x: x.bernoulli_(0.3), 0),
    "bernoulli_, rare": (lambda d: tg.empty(70, device=d), lambda x: x.bernoulli_(1e-7), 0),
    "geometric_": (lambda d: tg.empty(6, device=d), lambda x: x.geometric_(0.3), 0),
    "cauchy_": (lambda d: tg.empty(6, device=d), lambda x: x.cauchy_(), 2),
    "log_normal_": (lambda d: tg.empty(6, device=d), lambda x: x.log_normal_(), 2),
    "dropout": (lambda d: tg.ones(5, 30, device=d), lambda x: F.dropout(x, 0.3), 0),
    "dropout2d": (lambda d: tg.ones(5, 9, 2, 2, device=d), lambda x: F.dropout2d(x, 0.3), 0),
    "alpha_dropout": (
        lambda d: tg.ones(50, device=d), lambda x: F.alpha_dropout(x, 0.3, True), 0,
    ),
    "rrelu": (lambda d: -tg.ones(50, device=d), lambda x: F.rrelu(x, training=True), 0),
    "gumbel_softmax": (lambda d: tg.ones(2, 5, device=d), F.gumbel_softmax, 8),
    "xavier_normal_": (lambda d: tg.empty(4, 5, device=d), nn.init.xavier_normal_, 0),
    "trunc_normal_": (lambda d: tg.empty(20, device=d), nn.init.trunc_normal_, 2),
    "trunc_normal_, deep": (
        lambda d: tg.empty(9, device=d), lambda x: nn.init.trunc_normal_(x, -60, 1, 0), 2,
    ),
    "attention": (
        lambda d: tg.ones(1, 6, 4, device=d),
        lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.4), 8,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.filterwarnings("ignore:mean is more than 2 std")
def test_the_same_numbers_as_on_the_cpu_without_a_copy(name, monkeypatch):
    make, draw, ulp = DRAWS[name]
    there = make("cuda")
    tg.manual_seed(5)
    expected = draw(make("cpu")).numpy()
    after = tg.rand(1).item()
    tg.manual_seed(5)
    uploads = []
    plain = cupy.asarray
    monkeypatch.setattr(cupy, "asarray", lambda a, *r: uploads.append(a) or plain(a, *r))
    found = draw(there)
    monkeypatch.undo()
    assert not any(isinstance(a, np.ndarray) for a in uploads)
    eps = np.finfo(expected.dtype).eps if expected.dtype.kind in "fc" else 0
    np.testing.assert_allclose(host(found), expected, rtol=ulp * eps, atol=0)
    assert tg.rand(1).item() == after  # both streams stand at the same place


def test_a_recorded_launch_draws_anew_each_time_it_is_replayed(monkeypatch):
    """What a graph does with a launch: the same kernel and arguments again."""
    own = tg.Generator().manual_seed(3)
    x, y = tg.empty(70, device=CUDA), tg.empty(5, device=CUDA)

    def step():
        x.uniform_()
        y.normal_(generator=own)

    def states():
        return tg.stack([tg.get_rng_state(), own.get_state()])

    tg.manual_seed(1)
    step()
    eager = []
    state = states()
    for _ in range(3):
        step()
        eager.append((host(x).copy(), host(y).copy()))
    end = states()

    tg.set_rng_state(state[0])
    own.set_state(state[1])
    with stream_positions.recording() as record:
        launches = _noting(monkeypatch)
        step()
        monkeypatch.undo()
    assert tg.equal(states(), state)
    for expected in eager:
        record.renew()
        for launch in launches:
            launch()
        np.testing.assert_array_equal(host(x), expected[0])
        np.testing.assert_array_equal(host(y), expected[1])
    assert tg.equal(states(), end)
    step()  # outside of a recording the words of before are read
    tg.set_rng_state(end[0])
    assert tg.equal(tg.empty(70).uniform_(), x.cpu())


def _noting(monkeypatch):
    """Have launches of draws noted, not done; returns what will hold them."""
    launches, plain = [], Vectors.draw_on_device
    monkeypatch.setattr(
        Vectors, "draw_on_device", lambda *given: launches.append(lambda: plain(*given))
    )
    return launches
