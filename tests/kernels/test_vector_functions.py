"""The vectorised functions: how far off they are, what they do at the ends, and that they are SIMD.

Measured in units in the last place: the distance to the right number over that to its neighbour.
"""

import ctypes.util
import math
import re

import numpy as np
import pytest
from numba import config, njit, types
from numba.core.errors import NumbaError, TypingError
from numba.extending import intrinsic

from tinygrad_opt.kernels import functions, update_rule
from tinygrad_opt.kernels.compiler import cache, denormals
from tinygrad_opt.kernels.functions import near, writing

LIMIT, WIDER_LIMITS = (
    2.0,
    {"erfc": 6.0, "normal_cdf": 6.0, "normal_density": 3.0},
)  # units in the last place
TYPES = ("float32", "float64")
every_name = pytest.mark.parametrize("name", functions.__all__)
every_type = pytest.mark.parametrize("dtype", TYPES)

_loops = {}


def loop(name, dtype, **options):
    """A compiled loop that puts the function of one array into another."""
    key = name, dtype, *options.items()
    if key not in _loops:
        function = getattr(functions, name)

        @njit(f"void({dtype}[::1], {dtype}[::1])", error_model="numpy", **options)
        def run(x, y):
            for i in range(x.size):
                y[i] = function(x[i])

        _loops[key] = run
    return _loops[key]


def values(name, x, **options):
    y = np.empty_like(x)
    loop(name, x.dtype.name, **options)(x, y)
    return y


# What is right ------------------------------------------------------------------------------------

WIDER = {"float32": np.float64, "float64": np.longdouble}
# Where long double is no longer than double, the reference itself may be off by a unit.
EXACT = np.finfo(np.longdouble).nmant > 60
SLOW = ("erf", "erfc", "normal_cdf")  # their references are


def sigmoid(x):
    z = np.exp(-abs(x))
    return np.where(x < 0, z, z.dtype.type(1)) / (1 + z)


def erf(x):
    """Of float64 by the C library; of long double the series, in which no term is negative.

    erf(x) = 2 / sqrt(pi) e^(-x^2) (x + 2 x^3 / 3 + 4 x^5 / 15 + ...).
    """
    if x.dtype == np.float64:
        return np.array(list(map(math.erf, x.tolist())))
    inside = np.where(abs(x) < 7, x, 0)
    term = total = inside
    for n in range(1, 220):
        term = term * (2 * inside * inside) / (2 * n + 1)
        total = total + term
    pi = np.longdouble("3.14159265358979323846264338327950288")
    series = 2 / np.sqrt(pi) * np.exp(-inside * inside) * total
    return np.where(abs(x) < 7, series, np.where(np.isnan(x), x, np.sign(x)))


def erfc(x):
    """Of float64 by the C library; of long double from the normal distribution function."""
    if x.dtype == np.float64:
        return np.array(list(map(math.erfc, x.tolist())))
    return 2 * normal_cdf(x * -np.sqrt(np.longdouble(2)))


def normal_cdf(x):
    """Of float64 by the C library; of long double by its derivative, from what erf gives.

    On the left cdf(x) = density(x) / (t + 1 / (t + 2 / (t + 3 / ...))) with t = -x.
    """
    if x.dtype == np.float64:
        return np.array([0.5 * math.erfc(v) for v in (x / -math.sqrt(2)).tolist()])
    t = fraction = np.where(abs(x) > 2, abs(x), 2)
    for n in range(300, 0, -1):
        fraction = t + n / fraction
    far = normal_density(t) / fraction
    near = (1 + erf(x / np.sqrt(np.longdouble(2)))) / 2
    return np.where(x < -2, far, np.where(x > 2, 1 - far, near))


def normal_density(x):
    pi = x.dtype.type("3.14159265358979323846264338327950288")
    return np.exp(-x * x / 2) / np.sqrt(2 * pi)


def right(name, x):
    wide = x.astype(WIDER[x.dtype.name])
    own = {f.__name__: f for f in (sigmoid, erf, erfc, normal_cdf, normal_density)}
    with np.errstate(all="ignore"):
        return own.get(name, getattr(np, name, None))(wide)


def limit(name, dtype):
    return WIDER_LIMITS.get(name, LIMIT) + (0 if dtype == "float32" or EXACT else 1)


def units(y, expected):
    """How many units in the last place y is off; 0 where both are NaN, or the same infinity."""
    info = np.finfo(y.dtype)
    _, exponent = np.frexp(expected)
    unit = np.ldexp(expected.dtype.type(1), np.maximum(exponent, info.minexp + 1) - info.nmant - 1)
    beyond = abs(expected) > info.max
    with np.errstate(all="ignore"):
        off = abs(y.astype(expected.dtype) - expected) / unit
    same = (y == expected) | (np.isnan(y) & np.isnan(expected))
    same |= beyond & np.isinf(y) & (np.sign(y) == np.sign(expected))
    return np.where(same, 0, np.where(np.isnan(off), np.inf, off))


def every_exponent(dtype, each):
    """`each` random mantissas of either sign for every exponent, those of denormals too."""
    rng = np.random.default_rng(1)
    mantissa, whole = (23, np.uint32) if dtype == "float32" else (52, np.uint64)
    exponents = 2 ** (8 if dtype == "float32" else 11) - 1  # the last one is that of infinity
    signs, e = np.meshgrid([0, 1], np.arange(exponents), indexing="ij")
    top = (signs * (exponents + 1) + e).astype(whole) << whole(mantissa)
    low = rng.integers(2**mantissa, size=(*top.shape, each), dtype=whole)
    low[..., 0], low[..., 1] = 0, 2**mantissa - 1
    return (top[..., None] | low).view(dtype).ravel()


def where_it_bends(name, dtype):
    """Numbers as they occur, and close to where a formula passes into another."""
    top = {"float32": 110, "float64": 760}[dtype]
    rng = np.random.default_rng(2)
    parts = [rng.uniform(-a, a, 60_000) for a in (1, 7, 30, top)]
    parts += [center + rng.uniform(-1e-3, 1e-3, 2_000) for center in (0.93, 1, math.log(2) / 2)]
    x = np.concatenate(parts).astype(dtype)
    return abs(x) if name == "log" else x


@pytest.mark.thorough
@every_type
@every_name
def test_over_every_exponent(name, dtype):
    # A million numbers of float32, a quarter of a million of float64.
    each = 2000 if dtype == "float32" else 60
    x = every_exponent(dtype, each // 10 if name in SLOW else each)
    y = values(name, x)
    off = units(y, right(name, x))
    worst = off.argmax()
    assert off[worst] <= limit(name, dtype), (x[worst], y[worst])


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.thorough)])
@every_name
def test_where_the_formulas_meet(name, dtype):
    x = where_it_bends(name, dtype)
    if name in SLOW:
        x = x[::4].copy()
    y = values(name, x)
    off = units(y, right(name, x))
    worst = off.argmax()
    assert off[worst] <= limit(name, dtype), (x[worst], y[worst])


def test_a_thousandth_would_be_found():
    x = np.linspace(0.1, 1, 100).astype("float32")
    assert units(values("exp", x) * np.float32(1.001), right("exp", x)).min() > 1000


ENDS = {  # what is given, and what comes back: bit for bit
    "exp": [(0, 1), (-0.0, 1), (math.inf, math.inf), (-math.inf, 0), (1e4, math.inf), (-1e4, 0)],
    "expm1": [(0, 0), (-0.0, -0.0), (math.inf, math.inf), (-math.inf, -1), (-1e4, -1)],
    "log": [(1, 0), (0, -math.inf), (-0.0, -math.inf), (math.inf, math.inf), (-1, math.nan),
            (-math.inf, math.nan)],
    "log1p": [(0, 0), (-0.0, -0.0), (-1, -math.inf), (math.inf, math.inf), (-2, math.nan),
              (-math.inf, math.nan)],
    "tanh": [(0, 0), (-0.0, -0.0), (math.inf, 1), (-math.inf, -1), (1e4, 1)],
    "sigmoid": [(0, 0.5), (-0.0, 0.5), (math.inf, 1), (-math.inf, 0), (1e4, 1), (-1e4, 0)],
    "erf": [(0, 0), (-0.0, -0.0), (math.inf, 1), (-math.inf, -1), (1e4, 1)],
    "erfc": [(0, 1), (-0.0, 1), (math.inf, 0), (-math.inf, 2), (1e4, 0), (-1e4, 2)],
    "normal_cdf": [(0, 0.5), (-0.0, 0.5), (math.inf, 1), (-math.inf, 0), (1e4, 1), (-1e4, 0)],
    "normal_density": [(math.inf, 0), (-math.inf, 0), (1e4, 0), (-1e4, 0)],
}  # fmt: skip


@every_type
@every_name
def test_ends(name, dtype):
    given, expected = np.array([*ENDS[name], (math.nan, math.nan)], dtype).T
    y = values(name, np.ascontiguousarray(given))
    np.testing.assert_array_equal(y, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y[known]), np.signbit(expected[known]))


@every_type
def test_overflow_and_gradual_underflow(dtype):
    info = np.finfo(dtype)
    x = np.log(np.array([info.max, info.tiny, info.smallest_subnormal], "float64")).astype(dtype)
    below, above = values("exp", np.nextafter(x[0], [0, np.inf], dtype=dtype))
    assert info.max * (1 - 1e-4) < below < above
    assert above == np.inf
    steps = np.linspace(x[1], x[2], 50).astype(dtype)
    np.testing.assert_allclose(values("exp", steps), np.exp(steps), atol=info.smallest_subnormal)
    assert (np.diff(values("exp", steps)) <= 0).all()
    tiny = np.array([info.smallest_subnormal, -info.smallest_subnormal, info.tiny / 2], dtype)
    for name in ("expm1", "log1p", "tanh"):
        np.testing.assert_array_equal(values(name, tiny), tiny)
    np.testing.assert_allclose(values("log", tiny[::2].copy()), np.log(tiny[::2]), rtol=info.eps)


UNDERFLOW = 0x10  # in x86's register, and so in C's <fenv.h>


@pytest.mark.skipif(
    not denormals.X86 or not ctypes.util.find_library("m"), reason="asks C's library on x86"
)
@every_type
@every_name
def test_a_zero_comes_without_underflow(name, dtype):
    """That takes a processor a hundred cycles, for each vector that a mask has filled with -inf."""
    flags = ctypes.CDLL(ctypes.util.find_library("m"))
    x = np.array([s * t for s in (1, -1) for t in (np.inf, 1e30, 1000, 800, 200, 120, 0)], dtype)
    y = values(name, x)
    x = x[(y == 0) | (abs(y) >= np.finfo(dtype).tiny)]  # or it is gradual, as it should be
    flags.feclearexcept(UNDERFLOW)
    values(name, x)
    assert not flags.fetestexcept(UNDERFLOW)


@pytest.mark.thorough
@every_type
@every_name
def test_a_callers_fastmath_does_not_reach_them(name, dtype):
    """Reassociation would cancel the two parts of ln 2 against each other."""
    x = np.abs(where_it_bends(name, dtype)[:20_000])
    np.testing.assert_array_equal(values(name, x), values(name, x, fastmath=True))


NEAR = {
    "exp": 87.0,
    "normal_cdf": 12.5,
    "normal_density": 12.5,
    "sigmoid": 87.0,
    "tanh": 10.0,
}  # |x| below


@every_type
@pytest.mark.parametrize("name", near.__all__)
def test_near_ones_have_the_same_bits(name, dtype):
    assert sorted(NEAR) == near.__all__
    x = np.concatenate([every_exponent(dtype, 40), where_it_bends(name, dtype)])
    x = x[abs(x) < NEAR[name]]
    y = np.empty_like(x)
    function = getattr(near, name)

    @njit(f"void({dtype}[::1], {dtype}[::1])", error_model="numpy")
    def run(x, y):
        for i in range(x.size):
            y[i] = function(x[i])

    run(x, y)
    whole = f"uint{8 * x.itemsize}"
    np.testing.assert_array_equal(y.view(whole), values(name, x).view(whole))
    assert function(x[0]) == getattr(functions, name)(x[0])


# Where they can be called -------------------------------------------------------------------------


@pytest.mark.skipif(not denormals.X86, reason="reads x86 assembly")
@pytest.mark.skipif(
    bool(getattr(config, "BOUNDSCHECK", 0)), reason="a bounds check keeps SIMD away"
)
@every_type
@every_name
def test_loops_are_vectorised(name, dtype):
    assembly = next(iter(loop(name, dtype).inspect_asm().values()))
    letter = {"float32": "s", "float64": "d"}[dtype]
    products = re.findall(rf"\tv?(?:mul|fn?madd\d*)p{letter}\t", assembly)
    assert len(products) >= 5
    assert not re.search(rf"call\w*\s+\*?[%$@\w]*\b{name}f?\b", assembly)


@pytest.mark.thorough
@pytest.mark.versions
@every_name
def test_whole_numbers_are_float64(name):
    function = getattr(functions, name)

    @njit
    def call(x):
        return function(x)

    assert call(1) == call(1.0)
    assert call(True) == call(1.0)
    assert isinstance(call(np.int32(1)), float)


@every_name
def test_other_things_are_refused(name):
    function = getattr(functions, name)

    @njit
    def call(x):
        return function(x)

    with pytest.raises(TypingError, match="No implementation of function"):
        call("one")


def test_a_formula_that_asks_for_a_number_is_refused():
    def size(x):
        return x if x > 0 else -x

    @intrinsic
    def written(typing_context, x):
        def generate(context, builder, signature, values):
            return writing.call(context, builder, size, types.float64, values[0])

        return types.float64(types.float64), generate

    @njit
    def call(x):
        return written(x)

    with pytest.raises((TypeError, NumbaError), match="choose with `select`"):
        call(1.0)


@every_type
@every_name
def test_as_plain_python(name, dtype):
    function, scalar = getattr(functions, name), np.dtype(dtype).type
    for x in (0.0, 0.3, 1.7, 20.0, 200.0):
        y = function(scalar(x))
        assert y.dtype == dtype
        x = np.array([x], dtype)
        np.testing.assert_allclose(y, values(name, x)[0], rtol=8 * np.finfo(dtype).eps)
    assert math.isnan(function(math.nan))
    assert function(0.5) == pytest.approx(float(right(name, np.array([0.5]))[0]), rel=4e-15)


def test_plain_logarithms_have_their_ends_without_a_warning():
    assert functions.log(0.0) == functions.log1p(-1.0) == -math.inf
    assert math.isnan(functions.log(-1.0))
    assert functions.exp(1e4) == functions.expm1(1e4) == math.inf


# In rules -----------------------------------------------------------------------------------------


@update_rule
def all_of_them(p, g, a, b, c, d, e, f, h, i, j):
    x = abs(g)
    return (
        functions.sigmoid(g),
        functions.exp(g),
        functions.log(x),
        functions.erf(g),
        functions.tanh(g),
        functions.expm1(g),
        functions.log1p(x),
        functions.normal_cdf(g),
        functions.normal_density(g),
        functions.erfc(g),
    )


@update_rule
def those_of_math(p, g, a, b, c, d, e, f):
    x = abs(g)
    return p, math.exp(g), np.log(x), math.erf(g), np.tanh(g), math.expm1(g), np.log1p(x)


OF_RULES = ("sigmoid", "exp", "log", "erf", "tanh", "expm1", "log1p", "normal_cdf",
            "normal_density", "erfc")  # fmt: skip


def launched(rule, g):
    arrays = [np.zeros_like(g) for _ in range(2 + len(rule.states))]
    arrays[1] = g
    rule.launch(arrays, ())
    return [arrays[0], *arrays[2:]]


@every_type
def test_rules_call_them(dtype):
    assert sorted(OF_RULES) == functions.__all__
    g = np.linspace(-8, 8, 1001).astype(dtype)
    results = launched(all_of_them, g)
    for name, y in zip(OF_RULES, results, strict=True):
        np.testing.assert_array_equal(y, values(name, abs(g) if name.startswith("log") else g))
    for y, same in zip(launched(those_of_math, g)[1:], results[1:7], strict=True):
        np.testing.assert_array_equal(y, same)
    oracle = [np.zeros_like(g) for _ in range(2 + len(all_of_them.states))]
    oracle[1] = g
    all_of_them.reference(oracle, ())
    for y, plain in zip(results, [oracle[0], *oracle[2:]], strict=True):
        # The digits of the plain normal_cdf end where x^2 / 2 is rounded.
        np.testing.assert_allclose(y, plain, rtol=70 * np.finfo(dtype).eps)


def test_devices_have_their_own():
    text = all_of_them.source("cuda")
    assert "= vector_" not in text
    for line in (
        "float32(1.0) / (float32(1.0) + math.exp(-g))",
        "float32(0.5) * math.erfc(g * -float32(0.7071067811865476))",
        "float32(0.3989422804014327) * math.exp(-float32(0.5) * g * g)",
        "math.erf(g)",
        "math.tanh(g)",
    ):
        assert line in text
    assert "vector_exp(g)" in those_of_math.source("parallel")


@pytest.mark.skipif(not denormals.X86, reason="elsewhere denormals stay")
@every_type
def test_in_rules_denormals_are_zero(dtype):
    dtype, tiny = np.dtype(dtype), np.finfo(dtype).tiny
    g = np.array([tiny / 8, -tiny / 8, 0.0, -0.0], dtype)
    density = dtype.type(1 / math.sqrt(2 * math.pi))
    at_zero = [0.5, 1, -math.inf, 0, 0, 0, 0, 0.5, density, 1]
    for y, expected in zip(launched(all_of_them, g), at_zero, strict=True):
        assert y.tolist() == [expected] * 4


def test_kernels_are_compiled_anew_when_the_formulas_change(tmp_path, monkeypatch):
    """The text that imports them stays the same, but not the machine code."""
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    text = "from tinygrad_opt.kernels.functions import exp\nfound = 1\n"
    cache.load("found", lambda on_disk: text)
    cache.load("found", lambda on_disk: text)
    assert len(list(tmp_path.glob("found_*.py"))) == 1
    monkeypatch.setattr(cache, "_digest_of_room", lambda name: "another state")
    cache.load("found", lambda on_disk: text)
    assert len(list(tmp_path.glob("found_*.py"))) == 2
    cache.load("other", lambda on_disk: "other = 1\n")
    monkeypatch.setattr(cache, "_digest_of_room", lambda name: "a third")
    cache.load("other", lambda on_disk: "other = 1\n")
    assert len(list(tmp_path.glob("other_*.py"))) == 1
