"""The kernels of recurrent layers against the formulas: sizes, types, what is left to them."""

import numpy as np
import pytest

from tinygrad_opt.arrays.namespace import Namespace
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.kernels import blas
from tinygrad_opt.kernels.fused import passage_kernels, passages

PLAIN, FAST = Namespace(np), xp(np.zeros(1))
GATES = {"lstm": 4, "gru": 3, "rnn": 1, "relu": 1}
kinds = pytest.mark.parametrize("kind", GATES)
SIZES = {
    "one step of one": (1,), "steps of one": (1, 1, 1), "a batch": (5, 5, 5),
    "ends": (7, 5, 5, 1), "several parts": (70, 70, 33, 32, 31, 3),
}  # fmt: skip
needs_openblas = pytest.mark.skipif(not blas.is_available(), reason="NumPy without OpenBLAS")


def pair(space, kind, sizes, hidden, reverse=False, biased=True, dtype="float64", edit=None):
    rng, gates = np.random.default_rng(0), GATES[kind] * hidden

    def normal(*shape):
        x = rng.standard_normal(shape).astype(dtype)
        return x if edit is None else edit(x)

    z, w = normal(sum(sizes), gates), normal(gates, hidden)
    h, c = normal(sizes[0], hidden), normal(sizes[0], hidden)
    b, d = (normal(gates), normal(gates)) if biased else (None, None)
    if kind == "lstm":
        return space.lstm_pair(z, b, h, c, w, None, sizes, reverse)
    if kind == "gru":
        return space.gru_pair(z, b, d, h, w, sizes, reverse)
    return space.rnn_pair(z, b, h, w, sizes, reverse, kind == "relu")


def compare(kind, sizes, hidden, tolerance=1e-12, **settings):
    y, back = pair(FAST, kind, sizes, hidden, **settings)
    wide = {**settings, "dtype": "float64"}
    expected, expected_back = pair(PLAIN, kind, sizes, hidden, **wide)
    g = np.random.default_rng(1).standard_normal(y.shape)
    found, right = [y, *back(g.astype(y.dtype))], [expected, *expected_back(g)]
    for a, b in zip(found, right, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(abs(b).max(), 1))


@pytest.fixture
def only_kernels(monkeypatch):
    if not blas.is_available():
        pytest.skip("NumPy without OpenBLAS")
    for name in ("lstm_pair", "gru_pair", "rnn_pair"):
        monkeypatch.setattr(passages, name, None)


@kinds
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("reverse", [False, True])
def test_kernels_equal_the_formula(kind, sizes, reverse, only_kernels):
    compare(kind, SIZES[sizes], 7, reverse=reverse)


@kinds
@pytest.mark.parametrize("hidden", [1, 64])
def test_float32(kind, hidden, only_kernels):
    scaled = {"dtype": "float32", "edit": lambda x: (x / 4).astype(x.dtype)}
    compare(kind, SIZES["several parts"], hidden, 1e-5, **scaled)


@kinds
@pytest.mark.parametrize("hidden", [20, 33])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_panels_and_vectors_that_are_not_whole(kind, hidden, dtype, tolerance, only_kernels):
    def edit(x):
        return (x / 4).astype(x.dtype)

    compare(kind, (11, 11, 9, 7, 6), hidden, tolerance, dtype=dtype, edit=edit)


@kinds
def test_without_biases(kind, only_kernels):
    compare(kind, SIZES["ends"], 5, biased=False)


@kinds
def test_strided_and_read_only_states_and_weights(kind, only_kernels):
    def edit(x):
        x = np.asfortranarray(x) if x.shape[-1] != GATES[kind] * 3 or x.ndim == 1 else x
        if x.shape[0] != sum(SIZES["ends"]):  # z is written to
            x.flags.writeable = False
        return x

    compare(kind, SIZES["ends"], 3, edit=edit)


@needs_openblas
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gates_saturate(dtype):
    big = np.array([[1e30, -1e30, 1e30, -1e30]], dtype)
    one, w = np.ones((1, 1), dtype), np.zeros((4, 1), dtype)
    y, _ = FAST.lstm_pair(big.copy(), None, one, one, w, None, (1,), False)
    assert y.tolist() == [0.0, 0.0, 1.0]  # o = 0, f = 0, i = g = 1
    y, _ = FAST.lstm_pair(-big, None, one, one, w, None, (1,), False)
    np.testing.assert_allclose(y, [np.tanh(1), np.tanh(1), 1.0], rtol=1e-6)  # f = o = 1, i = 0
    y, _ = FAST.rnn_pair(np.array([[np.inf], [-np.inf]], dtype), None, np.zeros((2, 1), dtype),
                         np.zeros((1, 1), dtype), (2,), False, False)  # fmt: skip
    assert y.tolist() == [1.0, -1.0, 1.0, -1.0]


@needs_openblas
def test_float32_tanh_is_within_five_ulp():
    x = np.concatenate([np.linspace(-10, 10, 100_001), np.logspace(-38, 1, 10_000)])
    x = x.astype("float32")[:, None]
    zero = np.zeros((len(x), 1), "float32")
    y, _ = FAST.rnn_pair(x.copy(), None, zero, zero[:1], (len(x),), False, False)
    right = np.tanh(x[:, 0].astype("float64"))
    assert (abs(y[: len(x)] - right) <= 5 * np.spacing(abs(right).astype("float32"))).all()


@kinds
@needs_openblas
def test_nan_stays_with_its_sequence(kind):
    def edit(x):
        if x.shape == (15, GATES[kind] * 3):
            x[7, :] = np.nan  # the second step of the third sequence
        return x

    y, _ = pair(FAST, kind, (5, 5, 5), 3, edit=edit)
    outputs = y[:45].reshape(3, 5, 3)
    assert np.isfinite(outputs[:, [0, 1, 3, 4]]).all()
    assert np.isnan(outputs[1:, 2]).all()
    assert np.isfinite(outputs[0, 2]).all()


@kinds
@needs_openblas
def test_bits_do_not_depend_on_the_other_rows(kind, monkeypatch):
    monkeypatch.setattr(passage_kernels, "ROWS", 32)
    y, back = pair(FAST, kind, (64, 64), 8)
    g = np.ones_like(y)
    found = [y, *back(g)]
    monkeypatch.setattr(passage_kernels, "parts", lambda batch, work: (32, 1 << 40))
    y, back = pair(FAST, kind, (64, 64), 8)  # the same parts, on other threads if there are any
    for a, b in zip(found, [y, *back(g)], strict=True):
        assert (a is None and b is None) or np.array_equal(a, b)


@kinds
def test_what_is_left_to_the_formula(kind, monkeypatch):
    monkeypatch.setattr(passage_kernels, "run", None)
    for settings in ({"dtype": "float16"}, {"dtype": ">f8"}):
        pair(FAST, kind, (2, 1), 3, **settings)
    pair(FAST, kind, (0,), 3)
    monkeypatch.setattr(blas, "is_available", lambda: False)
    y, _ = pair(FAST, kind, (2, 1), 3)
    np.testing.assert_allclose(y, pair(PLAIN, kind, (2, 1), 3)[0], rtol=1e-12)


def test_a_projection_is_left_to_the_formula(monkeypatch):
    monkeypatch.setattr(passage_kernels, "run", None)
    h, c = np.ones((2, 2)), np.ones((2, 3))
    y, back = FAST.lstm_pair(np.ones((4, 12)), None, h, c, np.ones((12, 2)), np.ones((2, 3)),
                             (2, 2), False)  # fmt: skip
    assert y.shape == (4 * 2 + 2 * 2 + 2 * 3,)
    assert back(np.ones_like(y))[-1].shape == (2, 3)


def arrays_of_lstm(n=5, hidden=3, steps=2):
    shapes = {
        "z": (steps * n, 4 * hidden), "bias": (4 * hidden,), "h": (n, hidden), "c": (n, hidden),
        "w_hh": (4 * hidden, hidden),
    }  # fmt: skip
    return {name: np.ones(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("wrong", ["z", "h", "c", "bias", "w_hh"])
def test_shapes_that_do_not_go_together_never_reach_a_kernel(wrong, monkeypatch):
    monkeypatch.setattr(passage_kernels, "run", lambda *_: pytest.fail("a kernel was asked for"))
    arrays = arrays_of_lstm()
    arrays[wrong] = np.ones([n + 2 for n in arrays[wrong].shape])
    z, b, h, c, w = arrays.values()
    with pytest.raises((ValueError, IndexError)):  # NumPy's own
        FAST.lstm_pair(z, b, h, c, w, None, (5, 5), False)


@needs_openblas
@pytest.mark.parametrize("sizes", [(5, 6), (6, 5), (4, 6), (10, 0), (11, -1)])
def test_sizes_that_do_not_go_together(sizes):
    z, b, h, c, w = arrays_of_lstm().values()
    assert passage_kernels.fits("lstm", z, (b,), (h, c), w, (5, 5))
    assert not passage_kernels.fits("lstm", z, (b,), (h, c), w, sizes)
    assert not passage_kernels.fits("gru", z, (b,), (h,), w, (5, 5))


@needs_openblas
def test_gradients_of_another_shape_are_refused():
    z, b, h, c, w = arrays_of_lstm().values()
    y, back = FAST.lstm_pair(z, b, h, c, w, None, (5, 5), False)
    with pytest.raises(ValueError, match="broadcast"):
        back(np.ones(y.size + 1))
    assert back(np.ones(y.size, "float32"))[0].dtype == y.dtype
