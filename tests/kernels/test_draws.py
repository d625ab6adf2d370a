"""Random arguments of rules: the generator's known answers, kernels against NumPy, errors."""

import numpy as np
import pytest
from calling_rules import dithered, langevin, vectors
from test_refused_rules import assert_refused

from tinygrad_opt.kernels import adam, draws, threads, update_rule
from tinygrad_opt.kernels.compiler import codegen

# Random123 1.14, tests/kat_vectors: philox4x32 of 10 rounds: counter, key, words.
KNOWN = [
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (
        (0xFFFFFFFF,) * 4,
        (0xFFFFFFFF,) * 2,
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_known_answers_of_the_paper(counter, key, words):
    assert tuple(map(int, draws.philox(counter, key))) == words


def test_arrays_of_counters_have_the_words_of_each():
    places = np.arange(5)
    many = draws.philox((places, 1, 2, 3), (4, 5))
    for k in places:
        one = draws.philox((k, 1, 2, 3), (4, 5))
        assert [int(w[k]) for w in many] == [int(w) for w in one]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_drawn_is_spread_as_it_should_be(dtype):
    u = draws.drawn("uniform", 1, 2, 1 << 16, dtype)
    assert u.dtype == dtype
    assert 0 <= u.min() < u.max() < 1
    counts = np.bincount((u * 256).astype(int), minlength=256)
    assert 150 < ((counts - 256.0) ** 2 / 256.0).sum() < 400  # 255 degrees of freedom
    z = draws.drawn("normal", 1, 2, 1 << 16, dtype).astype(np.float64)
    assert abs(z.mean()) < 5 / 256
    assert abs(z.var() - 1) < 5 * 2**0.5 / 256
    assert abs((z**4).mean() - 3) < 5 * 96**0.5 / 256
    assert abs((z**3).mean()) < 5 * 15**0.5 / 256
    others = [
        draws.drawn("normal", *there, 1 << 16, dtype, number=n)
        for there, n in (((2, 2), 0), ((1, 3), 0), ((1, 2), 1), ((1 + 2**32, 2), 0))
    ]
    for other in (*others, np.roll(z, 1)):
        assert abs(np.corrcoef(z, other)[0, 1]) < 5 / 256


def test_places_are_all_that_counts(monkeypatch):
    size = 2 * codegen.CHUNK + 77
    p, g, m = (np.zeros(size, np.float32) for _ in range(3))
    monkeypatch.setattr(threads, "threshold", 10**9)
    dithered.launch((p, g, m), (0.1,), seed=3, step=2)
    np.testing.assert_array_equal(m, draws.drawn("uniform", 3, 2, size, number=1))
    np.testing.assert_array_equal(p == 0, True)  # floor(0 + u), u below 1
    parts = np.zeros(size, np.float32)
    for a, b in ((0, 1000), (1000, 1003), (1003, size)):
        dithered.launch((p[a:b], g[a:b], parts[a:b]), (0.1,), seed=3, step=2, origin=a)
    np.testing.assert_array_equal(parts, m)
    monkeypatch.setattr(threads, "threshold", 1)
    before, on_threads = threads.get_num_threads(), np.zeros(size, np.float32)
    try:
        threads.set_num_threads(2)
        dithered.launch((p, g, on_threads), (0.1,), seed=3, step=2)
    finally:
        threads.set_num_threads(before)
    np.testing.assert_array_equal(on_threads, m)


def test_called_with_numbers_it_takes_what_would_be_drawn():
    assert langevin(1.0, 2.0, 0.5, 3.0) == 1.0 - 0.5 * 2.0 + 3.0
    assert langevin.draws == ("z",)
    assert langevin.coefficients == ("lr",)
    assert langevin.states == ()
    assert repr(dithered) == "<update rule dithered(p, g, m, lr, u, w) -> p, m>"


@pytest.mark.usefixtures("compiler")
def test_ptx_of_what_draws_has_no_doubles():
    text = langevin.ptx("float32")
    assert ".f64" not in text
    assert "xor.b64" in text


def test_the_draw_is_simd_code():
    from tinygrad_opt.commands import machine_code

    found = machine_code.hot_loop(langevin.asm())
    assert found is not None
    assert found.instructions > 100  # the ten rounds and the logarithm are in it


def test_what_is_wrong_is_named():
    given = vectors(langevin, "float32", 3)
    with pytest.raises(ValueError, match=r"langevin draws z: launch it with a seed"):
        langevin.launch(given, (0.1,))
    with pytest.raises(ValueError, match=r"langevin: seed must be a whole number of 64 bits"):
        langevin.launch(given, (0.1,), seed=2**64)
    with pytest.raises(ValueError, match=r"langevin: step must be a whole number of 32 bits"):
        langevin.launch(given, (0.1,), seed=1, step=-1)
    with pytest.raises(ValueError, match=r"adam draws no random numbers: leave out the seed"):
        adam.launch([np.zeros(3)] * 4, (0.1,) * 10, seed=1)
    with pytest.raises(ValueError, match=r"a rule that draws has no launch by parts"):
        langevin.launch_parts(given, (0, 3), (0.1,))
    with pytest.raises(ValueError, match=r"a rule that draws keeps its states in full"):
        langevin.launch_bfloat16(given, (0.1,), 1)
    with pytest.raises(ValueError, match=r"a rule that draws has no such kernel"):
        langevin.source("parts")
    with pytest.raises(ValueError, match=r'kind must be "uniform" or "normal", got \'cauchy\''):
        draws.drawn("cauchy", 1, 1, 3)
    with pytest.raises(TypeError, match=r"langevin: p must be float32 or float64, got int64"):
        langevin.launch([np.arange(3)] * 2, (0.1,), seed=1)


def test_random_arguments_come_last(tmp_path):
    head = "from tinygrad_opt.kernels.draws import Normal\n@update_rule\n"
    text = head + "def f(p, g, z: Normal, lr):\n  return p + z"
    assert_refused(text, "takes what is drawn last, got (p, g, z, lr) with z drawn", tmp_path)
    assert_refused(head + "def f(p, z: Normal):\n  return p", "at least a parameter", tmp_path)
    text = head + "def f(p, g, z: Normal | None):\n  return p + z"
    assert_refused(text, "Normal or Uniform, with nothing beside it", tmp_path)
    text = "@update_rule\ndef f(p, g, z: 'Normal'):\n  return p + z"
    assert_refused(text, "which z is annotated with, is not known here", tmp_path)


def test_annotations_may_be_text():
    @update_rule
    def rule(p: "float", g: "Unknown", z: "draws.Uniform"):  # noqa: F821
        return p + z

    assert rule.draws == ("z",)
