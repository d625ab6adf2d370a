"""Formulas that stand twice, in plain array code and in a fast form, held equal.

The plain code runs on every array library; on NumPy's arrays compiled kernels, or NumPy's own
calls, take its place. What a twin gets wrong by a thousandth is found here.
"""

import ast
import math
from pathlib import Path

import numpy as np
import pytest

import tinygrad_opt
from tinygrad_opt import ops
from tinygrad_opt.arrays import xp as spaces
from tinygrad_opt.arrays.namespace import Namespace
from tinygrad_opt.arrays.places import Along
from tinygrad_opt.arrays.unwritten import Unwritten
from tinygrad_opt.arrays.windows import Spans, Window
from tinygrad_opt.kernels.fused import elementwise

ROOT = Path(__file__).parents[1]
PLAIN, FAST = Namespace(np), spaces.xp(np.zeros(1))
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}

# Which file names which others as the place of its twin.
SAY_WHERE = {
    "kernels/fused/recurrent.py": ["kernels/fused/passages.py"],
    "kernels/fused/passages.py": ["ops/recurrent.py"],
    "kernels/fused/normalization.py": ["ops/normalization.py"],
    "kernels/fused/attention.py": ["ops/attention.py"],
    "tinygrad_opt/arrays/fused_layers.py": ["kernels/fused/"],
    "tinygrad_opt/ops/normalization.py": ["kernels/fused/normalization.py"],
    "tinygrad_opt/ops/attention.py": ["kernels/fused/attention.py"],
    "kernels/fused/softmax.py": ["arrays/namespace.py", "arrays/fused.py"],
    "kernels/fused/ctc.py": ["tinygrad_opt/nn/losses/ctc.py"],
    "tinygrad_opt/nn/losses/ctc.py": ["kernels/fused/ctc.py"],
    "kernels/fused/elementwise.py": ["ops/arithmetic.py", "ops/activation.py",
                                     "ops/mathematics.py", "arrays/fused.py"],
    "kernels/fused/arithmetic.py": ["arrays/fused.py"],
    "kernels/fused/axis_sums.py": ["arrays/sums.py"],
    "kernels/fused/pairs.py": ["ops/activation.py", "ops/choice.py", "ops/loss.py",
                               "ops/mathematics.py", "nn/losses/probabilities.py",
                               "arrays/fused_pairs.py"],
    "tinygrad_opt/arrays/fused_pairs.py": ["kernels/fused/pairs.py", "arrays/fused.py"],
    "tinygrad_opt/nn/losses/probabilities.py": ["kernels/fused/pairs.py"],
    "kernels/fused/extremes.py": ["arrays/large.py"],
    "kernels/fused/copies.py": ["arrays/large.py"],
    "kernels/fused/joins.py": ["arrays/large.py"],
    "kernels/fused/distances.py": ["ops/linalg.py"],
    "tinygrad_opt/arrays/large.py": ["kernels/fused/copies.py", "kernels/fused/extremes.py",
                                     "kernels/fused/joins.py"],
    "tinygrad_opt/arrays/fused.py": ["kernels/fused/elementwise.py", "kernels/fused/softmax.py",
                                     "kernels/fused/arithmetic.py"],
    "tinygrad_opt/ops/choice.py": ["kernels/fused/elementwise.py", "kernels/fused/pairs.py"],
    "tinygrad_opt/ops/arithmetic.py": ["kernels/fused/elementwise.py"],
    "tinygrad_opt/ops/activation.py": ["kernels/fused/elementwise.py", "kernels/fused/pairs.py"],
    "tinygrad_opt/ops/mathematics.py": ["kernels/fused/elementwise.py", "kernels/fused/pairs.py"],
    "tinygrad_opt/ops/reduce.py": ["kernels/fused/softmax.py"],
    "kernels/fused/convolution/__init__.py": ["arrays/windows.py"],
    "kernels/fused/pooling/__init__.py": ["arrays/windows.py"],
    "kernels/fused/pooling/places.py": ["arrays/windows.py"],
    "kernels/fused/rows.py": ["arrays/sums.py"],
    "kernels/fused/places.py": ["arrays/places.py"],
    "tinygrad_opt/arrays/places.py": ["kernels/fused/places.py", "arrays/namespace.py",
                                      "arrays/sums.py"],
    "tinygrad_opt/ops/recurrent.py": ["kernels/fused/passages.py"],
    "tinygrad_opt/ops/loss.py": ["arrays/namespace.py", "kernels/fused/softmax.py",
                                 "kernels/fused/pairs.py"],
    "tinygrad_opt/arrays/windows.py": ["kernels/fused/convolution", "kernels/fused/pooling"],
    "tinygrad_opt/arrays/sums.py": ["arrays/namespace.py", "kernels/fused/rows.py"],
    "tinygrad_opt/arrays/namespace.py": ["kernels/fused/softmax.py"],
}  # fmt: skip


@pytest.mark.parametrize("path", SAY_WHERE)
def test_each_twin_says_where_the_other_is(path):
    head = ast.get_docstring(ast.parse((ROOT / path).read_text()))
    for other in SAY_WHERE[path]:
        assert other in head
        assert (ROOT / other).exists() or (ROOT / "tinygrad_opt" / other).exists()


# Steps: what a namespace offers -------------------------------------------------------------------

WINDOWS = {
    "plain": (Window((5, 6), (3, 2), (3, 5), (1, 1), (0, 0), (1, 1)), 2, 3, 4),
    "padded": (Window((6,), (3,), (6,), (1,), (1,), (1,)), 4, 2, 2),
    "strided": (Window((7, 7), (3, 3), (4, 4), (2, 2), (1, 1), (1, 1)), 3, 2, 5),
    "dilated": (Window((4, 5, 6), (2, 2, 2), (2, 3, 4), (1, 1, 1), (0, 0, 0), (2, 2, 2)), 1, 2, 3),
    "groups": (Window((5, 5), (3, 3), (5, 5), (1, 1), (1, 1), (1, 1), 2), 2, 4, 6),
}  # what stands under a window, batch, channels, filters


def convolutions(kind):
    def sample(normal):
        for at, batch, channels, filters in WINDOWS.values():
            x, g = normal(batch, channels, *at.image), normal(batch, filters, *at.output)
            w, bias = normal(filters, channels // at.groups, *at.kernel), normal(filters)
            yield {"convolve": (x, w, bias, at), "convolve_input": (g, w, at),
                   "convolve_weight": (g, x, at), "convolve_slopes": (g, x, at)}[kind]  # fmt: skip

    return sample


POOLED = [
    Window((8,), (2,), (4,), (2,), (0,), (1,)),  # in pairs
    Window((7, 37), (2, 2), (3, 18), (2, 2), (0, 0), (1, 1)),
    Window((5, 6), (3, 2), (3, 4), (2, 2), (1, 1), (1, 1)),
    Window((9, 6), (2, 3), (3, 6), (3, 1), (0, 1), (2, 1)),
    Window((4, 5, 6), (2, 3, 2), (2, 5, 5), (2, 1, 1), (0, 1, 0), (1, 1, 1)),
    Window((3,), (2,), (2,), (2,), (1,), (4,)),  # the first without a cell
]


def pools(kind):
    def sample(normal):
        for at in POOLED:
            x, g = normal(3, 2, *at.image), normal(3, 2, *at.output)
            choice = (np.abs(100 * g).astype(int) % math.prod(at.kernel)).astype(np.uint8)
            outside = PLAIN.spread_maxima(np.ones_like(g), choice, at).sum() < g.size
            choice = np.where(outside, at.first_taps, choice)
            weights = tuple(tuple(1.0 + np.arange(n)) for n in at.output)
            yield {"window_maxima": (x, at), "spread_maxima": (g, choice, at),
                   "means": (x, at, weights), "spread_means": (g, at, weights)}[kind]  # fmt: skip

    return sample


def recurrent_steps(widths, gates=False):
    def sample(normal):
        for n, hidden in ((5, 7), (1, 1), (3, 64)):
            first, *rest = (normal(n, k * hidden) for k in widths)
            yield (1 / (1 + np.exp(-first)) if gates else first, *rest)

    return sample


def norms(normal):
    """Of rows, of channels, of single cells, of groups; then of what has no kernel."""
    for shape, axes, vector in (
        ((5, 7), (1,), (7,)), ((2, 3, 4), (1, 2), (3, 4)), ((4, 3, 5), (0, 2), (3, 1)),
        ((200, 3), (0,), (3,)), ((2, 2, 3, 5), (2, 3), (2, 3, 1)), ((4, 3, 5), (1,), (1,)),
    ):  # fmt: skip
        yield normal(*shape), normal(*vector), normal(*vector), axes, 0.1


def attentions(normal):
    """Causal, masked, with dropped weights; with shared keys."""
    q, k, v = normal(2, 3, 5, 4), normal(2, 3, 6, 4), normal(2, 3, 6, 2)
    kept = (normal(2, 3, 5, 6) > 0).astype(q.dtype)
    yield q, k, v, None, None, 0.5, True
    yield q, k, v, normal(5, 6), None, 0.5, False
    yield q, k, v, normal(2, 1, 1, 6), 1.25 * kept, 0.5, False
    yield normal(70, 3), normal(1, 150, 3), normal(4, 150, 3), None, None, 0.7, True


def passages(kind):
    """Through time of a whole batch, and of sequences that end early; in both directions."""

    def sample(normal):
        for sizes, hidden in (((5, 5), 3), ((40, 33, 2), 7), ((1,), 1)):
            n, gates = sizes[0], {"lstm": 4, "gru": 3, "rnn": 1}[kind] * hidden
            z, b, d, h, c = (normal(*s) for s in (
                (sum(sizes), gates), (gates,), (gates,), (n, hidden), (n, hidden),
            ))  # fmt: skip
            w = normal(gates, hidden)
            for way in (False, True):
                yield {"lstm": (z.copy(), b, h, c, w, None, sizes, way),
                       "gru": (z.copy(), b, d, h, w, sizes, way),
                       "rnn": (z.copy(), b, h, w, sizes, way, n > 5)}[kind]  # fmt: skip

    return sample


def cross_entropies(normal):
    for rows, classes in ((4, 3), (1, 1), (7, 50), (40, 1500)):
        yield 3 * normal(rows, classes), np.arange(rows) % classes
    for n, classes, *inner in ((2, 3, 5, 8), (2, 3, 2, 2), (3, 5, 700), (2, 300, 17)):
        index = np.arange(n * math.prod(inner)).reshape(n, *inner) % classes
        yield 3 * normal(n, classes, *inner), index


def last_axes(arrays):
    """Samples of so many arrays and an axis: the last one, which kernels take, and another."""

    def sample(normal):
        for shape in ((5, 7), (2, 3, 4), (9,), (30, 1100)):
            yield (*(normal(*shape) for _ in range(arrays)), -1)
        yield (*(normal(4, 3) for _ in range(arrays)), 0)

    return sample


SPANS = (Spans(np.array([0, 2, 4]), np.array([3, 5, 6]), 1),
         Spans(np.array([0, 1]), np.array([5, 6]), 2))  # fmt: skip


def places(normal, rows):
    """Of cells in images of 6 by 6, some named twice, one that is none."""
    place = np.abs(100 * normal(rows, 2, 3, 2)).astype(int) % 36
    place[0, 0, 0, 0] = -1
    return place


def indices(normal):
    """The shape of an array, that of what an index takes from it, and the index, along each axis.

    One place for each element, and slices; few and many.
    """
    for shape in ((4, 3, 5), (40, 60, 70)):
        for axis, n in enumerate(shape):
            at = np.abs(100 * normal(*shape)).astype(int) % n
            yield shape, shape, Along(PLAIN.grid(shape), at, axis)
            yield shape, shape, (*[slice(None)] * axis, at.reshape(-1)[:n])


# Each twin, and samples of what it is called with.
TWINS = {
    "one": lambda normal: ((normal(*shape),) for shape in ((), (1,), (1, 1))),
    "moments": lambda normal: (
        (normal(*shape), axes)
        for shape, axes in (
            ((5, 7), (1,)),
            ((4, 3, 5), (0, 2)),
            ((200, 3), (0,)),
            ((4, 3, 5), (1,)),
        )
    ),
    "standardize_pair": norms,
    "rms_pair": lambda normal: ((x, w, axes, eps) for x, w, _, axes, eps in norms(normal)),
    "affine_pair": lambda normal: (
        (normal(*shape), normal(3), normal(3)) for shape in ((5, 3), (2, 3, 4), (2, 3, 4, 5))
    ),
    "attention_pair": attentions,
    "lstm_pair": passages("lstm"),
    "gru_pair": passages("gru"),
    "rnn_pair": passages("rnn"),
    "lstm_step": recurrent_steps((4, 4, 1)),
    "lstm_step_back": recurrent_steps((4, 1, 1, 1, 1), gates=True),
    "gru_step": recurrent_steps((3, 3, 1)),
    "gru_step_back": recurrent_steps((3, 3, 1, 1), gates=True),
    "cross_entropy_rows": cross_entropies,
    "softmax": last_axes(1),
    "log_softmax": last_axes(1),
    "softmax_back": last_axes(2),
    "log_softmax_back": last_axes(2),
    "convolve": convolutions("convolve"),
    "convolve_input": convolutions("convolve_input"),
    "convolve_weight": convolutions("convolve_weight"),
    "convolve_slopes": convolutions("convolve_slopes"),
    **{name: pools(name) for name in ("window_maxima", "spread_maxima", "means", "spread_means")},
    "window_argmax": lambda normal: ((normal(n, 2, 6, 6), SPANS) for n in (1, 3)),
    "pick": lambda normal: ((normal(n, 2, 6, 6), places(normal, n), -1.5) for n in (1, 3)),
    "spread": lambda normal: ((normal(n, 2, 3, 2), places(normal, n), (6, 6)) for n in (1, 3)),
    "sum": lambda normal: (
        (normal(*shape), axis) for shape in ((300, 4), (700, 130)) for axis in (None, 0, 1, (0, 1))
    ),
    "sum_of_squares": lambda normal: (
        (normal(*shape), axis, keepdims)
        for shape in ((30, 4), (700, 130))
        for axis in (None, 0, 1, (0, 1))
        for keepdims in (False, True)
    ),
    **{
        name: lambda normal: (
            (normal(*shape), axis) for shape in ((3, 4), (300, 130)) for axis in (None, 0, 1)
        )
        for name in ("amax", "amin")
    },
    "sum_rows": lambda normal: (
        (normal(*shape),) for shape in ((3, 4), (700, 3), (500,), (700, 130))
    ),
    "copy": lambda normal: (
        (normal(*shape).transpose(axes),)
        for shape, axes in (((3, 4), (1, 0)), ((600, 500), (1, 0)), ((40, 90, 80), (1, 0, 2)))
    ),
    "flipped": lambda normal: (
        (normal(*shape), axes) for shape in ((3, 4), (600, 70)) for axes in ((0,), (1,), (0, 1))
    ),
    "reshape": lambda normal: (
        (normal(40, n, 80).transpose(1, 0, 2), shape) for n in (3, 90) for shape in ((n, -1), (-1,))
    ),
    "cast": lambda normal: (
        (normal(n, 130), dtype) for n in (3, 600) for dtype in ("float16", "float32", "float64")
    ),
    "put": lambda normal: (
        (normal(n, 500), normal(n - 2, 496), (slice(1, -1), slice(2, -2))) for n in (4, 600)
    ),
    "framed": lambda normal: (
        *((normal(n - 2, 496), (n, 500), (slice(1, -1), slice(2, 498)), 0.5) for n in (4, 600)),
        (normal(20, 30, 40), (20, 33, 40), (slice(None), slice(1, 31), slice(None)), 2),
        (normal(20, 30, 40), (22, 30, 40), (slice(1, 21), slice(None), slice(None)), math.inf),
    ),
    "power": lambda normal: ((normal(n, 4), y) for n in (5, 20_000) for y in (2, 3, 4, -2, 5)),
    "sigmoid": lambda normal: ((normal(n, 4),) for n in (5, 2000)),
    "sign": lambda normal: ((normal(n, 4),) for n in (5, 30_000)),
    "clip": lambda normal: (
        (normal(n, 3), low, high)
        for n in (3, 2000)
        for low, high in ((-0.5, 0.75), (None, 0.5), (0.2, None), (0.5, -0.5))
    ),
    "rows": lambda normal: (
        (normal(n, 3), np.abs(100 * normal(m, 2)).astype(int) % n)
        for n, m in ((5, 2), (50, 30_000))
    ),
    "picked": lambda normal: ((normal(*shape), index) for shape, _, index in indices(normal)),
    "scatter_add": lambda normal: (
        *((normal(*at.shape, 3), (5, 3), at) for at in (np.array([0, 2, 2]), np.arange(5))),
        *((normal(*taken), shape, index) for shape, taken, index in indices(normal)),
    ),
    "linear": lambda normal: (
        (normal(m, k), normal(n, k), bias)
        for m, k, n in ((3, 4, 5), (130, 70, 64))
        for bias in (normal(n), None)
    ),
    "dot_later": lambda normal: ((normal(n, 5), normal(5, 130)) for n in (3, 130)),
    "accumulate": lambda normal: ((normal(3, 7), "maximum", axis) for axis in (0, 1)),
    "logcumsumexp": lambda normal: ((normal(3, 7), axis) for axis in (0, 1)),
    "put_product": lambda normal: (
        (normal(4, 2), normal(len(index), 2), index) for index in (np.array([0, 2, 2, 0]),)
    ),
}


def sampler(dtype):
    rng = np.random.default_rng(0)
    return lambda *shape: rng.standard_normal(shape).astype(dtype)


def results(space, name, dtype):
    """All arrays that a namespace finds for a twin's samples."""
    found = []
    for arguments in TWINS[name](sampler(dtype)):
        made = getattr(space, name)(*arguments)
        if name.endswith("_pair"):
            y, back = made
            seed = np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype)
            made = y, *(d for d in back(seed) if d is not None)
        made = made.whole() if isinstance(made, Unwritten) else made
        found += made if isinstance(made, tuple) else [made]
    return found


def different(found, expected, dtype):
    """The places of results that differ, by more than rounding."""
    assert len(found) == len(expected) > 0
    return [i for i in range(len(found)) if not close(found[i], expected[i], dtype)]


def close(a, b, dtype):
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    finite = np.isfinite(b)
    scale = float(abs(b[finite]).max(initial=0)) or 1.0
    return np.array_equal(a[~finite], b[~finite], equal_nan=True) and bool(
        np.isclose(a[finite], b[finite], rtol=0, atol=TOLERANCE[dtype] * scale).all()
    )


def assert_equal(found, expected, dtype):
    for i in different(found, expected, dtype):
        np.testing.assert_allclose(found[i], expected[i], rtol=TOLERANCE[dtype], err_msg=f"#{i}")
        pytest.fail(f"{found[i]} is not {expected[i]}")


def test_every_twin_is_in_the_table():
    fast = [cls for cls in type(FAST).__mro__ if cls not in Namespace.__mro__]
    names = {name for cls in fast for name in vars(cls) if not name.startswith("_")}
    assert {name for name in names if hasattr(Namespace, name)} == TWINS.keys()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", TWINS)
def test_twins_are_equal(name, dtype):
    assert_equal(results(FAST, name, dtype), results(PLAIN, name, dtype), dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", TWINS)
def test_a_thousandth_is_found(name, dtype):
    """In whichever of the results it lies."""
    expected = results(PLAIN, name, dtype)
    for i, y in enumerate(expected):
        wrong = [*expected]
        wrong[i] = y + (y == y.max()).astype(y.dtype) if y.dtype.kind in "iu" else y * 1.001
        if wrong[i].any():
            assert different(wrong, expected, dtype) == [i]


# Functions of one element: pairs that have kernels ----------------------------------------------

SETTINGS = {
    "elu": {"alpha": 1.5, "scale": 0.7, "rate": 2.0},
    "hardshrink": {"threshold": 0.5},
    "hardtanh": {"low": -0.5, "high": 0.75},
    "leaky_relu": {"negative_slope": 0.1},
    "nan_to_num": {"nan": 0.5, "posinf": 9.0, "neginf": -8.0},
    "softplus": {"beta": 1.5, "threshold": 4.0},
    "softshrink": {"threshold": 0.5},
    "threshold": {"threshold": 0.5, "value": 7.0},
}


def value_and_slope(pair, name, dtype, size):
    rng = np.random.default_rng(0)
    x = 3 * rng.standard_normal((size // 8, 8)).astype(dtype)
    x = np.abs(x) + x.dtype.type(0.01) if name in ("log", "log1p", "logit", "sqrt") else x
    x = x / (1 + x) if name == "logit" else x
    y, back = pair(x, **SETTINGS.get(name, {}))
    return [y, back(rng.standard_normal(x.shape).astype(dtype))]


@pytest.mark.parametrize(
    ("dtype", "size"),
    [("float32", 16), ("float32", 1600), ("float32", 100_000), ("float64", 16), ("float64", 1600)],
)
@pytest.mark.parametrize("name", elementwise.ROWS)
def test_elementwise_twins_are_equal(name, size, dtype):
    pair = getattr(ops, name).pair
    fast = value_and_slope(pair, name, dtype, size)
    plain = value_and_slope(pair.__wrapped__, name, dtype, size)
    assert_equal(fast, plain, dtype)
    for i in range(2):
        wrong = [*fast]
        wrong[i] = fast[i] * fast[i].dtype.type(1.001)
        with pytest.raises(AssertionError):
            assert_equal(wrong, plain, dtype)


def test_all_settings_of_a_row_are_tried():
    rows = elementwise.ROWS
    assert {n: set(row.settings) for n, row in rows.items() if row.settings} == {
        name: set(settings) for name, settings in SETTINGS.items()
    }


# Whole operations: values and gradients -----------------------------------------------------------


def lstm(width_of):
    """`width_of` the hidden size: that of the projected state."""

    def run(x, *rest):
        n = x.shape[0] // 2
        return ops.lstm(x, *rest, sizes=(n + 1, n), reverse=n > 1)

    def inputs(normal, n, hidden):
        width = width_of(hidden)
        projection = [normal(width, hidden)] if width != hidden else []
        return [
            normal(2 * n + 1, 3), normal(n + 1, width), normal(n + 1, hidden),
            normal(4 * hidden, 3), normal(4 * hidden, width), normal(4 * hidden),
            normal(4 * hidden), *projection,
        ]  # fmt: skip

    return lambda *args: run(*args, *[None] * (8 - len(args))), inputs


def rnn():
    def run(x, *rest):
        n = x.shape[0] // 2
        return ops.rnn(x, *rest, sizes=(n + 1, n), reverse=n > 1, relu=n > 2)

    def inputs(normal, n, hidden):
        return [normal(2 * n + 1, 3), normal(n + 1, hidden), normal(hidden, 3),
                normal(hidden, hidden), normal(hidden), normal(hidden)]  # fmt: skip

    return run, inputs


def gru():
    def run(x, *rest):
        n = x.shape[0] // 2
        return ops.gru(x, *rest, sizes=(n + 1, n), reverse=n > 1)

    def inputs(normal, n, hidden):
        gates = 3 * hidden
        return [normal(2 * n + 1, 3), normal(n + 1, hidden), normal(gates, 3),
                normal(gates, hidden), normal(gates), normal(gates)]  # fmt: skip

    return run, inputs


def class_loss(reduced):
    def run(z):
        index = np.arange(z.shape[0]) % z.shape[1]
        return ops.cross_entropy(z, index=index, scale=0.5 if reduced else None)

    return run, lambda normal, n, hidden: [normal(n + 1, hidden)]


def convolution(kind):
    at, _, channels, filters = WINDOWS[kind]

    def run(x, w, bias):
        return ops.convolve(x, w, bias, at=at)

    def inputs(normal, n, hidden):
        w = normal(filters, channels // at.groups, *at.kernel)
        return [normal(n, channels, *at.image), w, normal(filters)]

    return run, inputs


OPERATIONS = {
    "rnn": rnn(),
    "lstm": lstm(lambda hidden: hidden),
    "lstm with a projection": lstm(lambda hidden: hidden + 1),
    "gru": gru(),
    "cross entropy": class_loss(reduced=False),
    "cross entropy, summed": class_loss(reduced=True),
    **{f"convolution, {kind}": convolution(kind) for kind in WINDOWS},
}
SIZES = [(1, 1), (3, 5), (2, 64)]


def value_and_gradients(run, arrays, create_graph=False):
    inputs = [tinygrad_opt.tensor(a, requires_grad=True) for a in arrays]
    y = run(*inputs)
    seed = np.cos(np.arange(y.numel())).reshape(tuple(y.shape)).astype(y.dtype)
    gradients = tinygrad_opt.autograd.grad(
        y, inputs, tinygrad_opt.tensor(seed), create_graph=create_graph
    )
    return [y.detach().numpy(), *(g.detach().numpy() for g in gradients)]


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_equal_on_either_twin(name, size, dtype, monkeypatch):
    """On the fast namespace, on the plain one, and as Tensors, whose gradients are recorded."""
    run, inputs = OPERATIONS[name]
    arrays = inputs(sampler(dtype), *size)
    fast = value_and_gradients(run, arrays)
    recorded = value_and_gradients(run, arrays, create_graph=True)
    monkeypatch.setattr(spaces, "_NUMPY", PLAIN)
    plain = value_and_gradients(run, arrays)
    assert_equal(fast, plain, dtype)
    assert_equal(recorded, plain, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_cross_entropy_is_the_same_of_classes_of_probabilities_and_as_nll_loss(size, dtype):
    F, (n, classes) = tinygrad_opt.nn.functional, size
    z = sampler(dtype)(n + 1, classes)
    index = tinygrad_opt.tensor(np.arange(n + 1) % classes)
    certain = F.one_hot(index, classes).to(z.dtype)
    found = [
        value_and_gradients(run, [z])
        for run in (
            lambda x: F.cross_entropy(x, index),
            lambda x: F.cross_entropy(x, certain),
            lambda x: F.nll_loss(F.log_softmax(x, 1), index),
            lambda x: F.cross_entropy(x, index, reduction="none").mean(),
        )
    ]
    for other in found[1:]:
        assert math.isclose(other[0], found[0][0], rel_tol=1e-5, abs_tol=1e-7)
        np.testing.assert_allclose(other[1], found[0][1], rtol=0, atol=TOLERANCE[dtype])
