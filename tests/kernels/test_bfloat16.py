"""States of 16 bits: numbers, rounding, and kernels held to NumPy's calls, bit by bit."""

import numpy as np
import pytest
from rules import RULES, arrays, coefficients

from tinygrad_opt.kernels import adam, bfloat16, sgd_momentum, threads, update_rule
from tinygrad_opt.kernels.compiler import codegen

SIZE = 300
WORDS = np.arange(1 << 16, dtype=np.uint16)
WITH_STATES = {name: rule for name, rule in RULES.items() if rule.states}
# exp and log may differ in the last bit; denormals count as zero in kernels.


@update_rule
def assigning(p, g, m, v, w, lr):
    """Three states, a coefficient that is assigned, and outputs that are expressions."""
    lr = lr * 2.0
    m = m + lr * (g - m)
    return p - lr * m, m, v + g, w * 0.5


# Numbers and words --------------------------------------------------------------------------------


def test_every_word_is_the_number_that_it_came_from():
    values = bfloat16.widened(WORDS)
    known = ~np.isnan(values)
    np.testing.assert_array_equal(bfloat16.nearest(values)[known], WORDS[known])
    assert np.isnan(bfloat16.widened(bfloat16.nearest(values[~known]))).all()
    assert values[0x3F80] == 1.0
    assert values[0xC000] == -2.0
    assert values[0x7F80] == np.inf


def test_the_nearest_word():
    values = np.random.default_rng(0).standard_normal(20_000)
    values = np.concatenate([values, -values, [1 + 2**-8, 1 + 3 * 2**-8]]).astype(np.float32)
    found = bfloat16.nearest(values)
    error = np.abs(bfloat16.widened(found).astype(np.float64) - values)
    for step in (-1, 1):
        other = bfloat16.widened((found.astype(np.int32) + step).astype(np.uint16))
        assert (error <= np.abs(other.astype(np.float64) - values)).all()
    assert found[-2:].tolist() == [0x3F80, 0x3F82]  # ties go to the even word
    assert bfloat16.nearest(np.float32([3.4e38])).tolist() == [0x7F80]  # infinity


def test_rounding_goes_up_as_often_as_the_number_lies_near():
    bits = np.arange(1 << 16, dtype=np.uint32)
    for value in (1.3, -1.3, 1e-30, 0.0, 3.0):
        value = np.full(1, value, np.float32)
        words = bfloat16.narrowed(np.repeat(value, bits.size), bits)
        mean = bfloat16.widened(words).astype(np.float64).mean()
        assert mean == pytest.approx(float(value[0]), rel=1e-9)
        assert len(set(words.tolist())) == (1 if value[0] in (0.0, 3.0) else 2)


def test_infinities_and_nan_stay():
    special = np.array([0x7F800000, 0xFF800000, 0x7FC00000, 0xFFFFFFFF, 0x7FFFFFFF], np.uint32)
    values = special.view(np.float32)
    for bits in (0, 1, 0xFFFF):
        found = bfloat16.widened(bfloat16.narrowed(values, np.uint32(bits)))
        np.testing.assert_array_equal(found[:2], values[:2])
        assert np.isnan(found[2:]).all()
    assert np.isnan(bfloat16.widened(bfloat16.nearest(values[2:]))).all()


# Random bits --------------------------------------------------------------------------------------


def test_bits_depend_on_place_and_key_alone():
    key = bfloat16.key_of(3, 0)
    whole = bfloat16.noise(key, 0, 1000, 1)
    np.testing.assert_array_equal(bfloat16.noise(key, 400, 50, 1), whole[400:450])
    assert (bfloat16.noise(key, 2**32 + 400, 50, 1) == whole[400:450]).all()  # it begins again


def test_keys_differ_by_step_and_by_vector():
    keys = {bfloat16.key_of(step, number) for step in range(1, 300) for number in range(30)}
    assert len(keys) == 299 * 30
    assert all(0 <= key < 2**32 for key in keys)


@pytest.mark.parametrize("state", range(4))
def test_bits_are_uniform(state):
    draws = np.stack([bfloat16.noise(bfloat16.key_of(t, 0), 0, 4096, state) for t in range(1, 65)])
    counts = np.bincount(draws.ravel() >> 8, minlength=256)
    chi = ((counts - 1024.0) ** 2 / 1024.0).sum()
    assert 150 < chi < 400  # 255 degrees of freedom
    uniform = draws / 65536.0 - 0.5
    for across in (uniform.mean(0), uniform.mean(1)):  # of each element, and of each step
        assert np.abs(across).max() < 6 * np.sqrt(1 / 12 / (draws.size / across.size))


def test_elements_steps_and_states_are_not_correlated():
    first, second = (
        np.stack([bfloat16.noise(bfloat16.key_of(t, 0), 0, 2048, state) for t in range(1, 129)])
        for state in (0, 1)
    )

    def correlation(a, b):
        return np.abs(np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1])

    limit = 5 / np.sqrt(first.size)
    assert correlation(first, second) < limit
    for distance in (1, 2, 3, 8, 1000):
        assert correlation(first[:, :-distance], first[:, distance:]) < limit
        assert correlation(second[:, :-distance], second[:, distance:]) < limit
    assert correlation(first[:-1], first[1:]) < limit


# Kernels ------------------------------------------------------------------------------------------


def narrow(rule, size, seed=0):
    """Parameter, gradient, and states as words."""
    vectors = arrays(rule, "float32", size, seed)
    return [*vectors[:2], *(bfloat16.nearest(v) for v in vectors[2:])]


def expected(rule, vectors, constants, key, origin):
    """The same by NumPy's calls and the rule in plain Python."""
    wide = [v.copy() for v in vectors[:2]] + [bfloat16.widened(v) for v in vectors[2:]]
    rule.reference(wide, constants)
    words = [
        bfloat16.narrowed(v, bfloat16.noise(key, origin, v.size, state))
        for state, v in enumerate(wide[2:])
    ]
    return [*wide[:2], *words]


def constants_of(rule):
    return [0.3] if rule is assigning else coefficients(rule)


@pytest.mark.thorough
@pytest.mark.parametrize("rule", [*WITH_STATES.values(), assigning], ids=lambda rule: rule.name)
def test_kernels_are_the_rule_and_the_rounding(rule):
    ours, key, origin = narrow(rule, SIZE), bfloat16.key_of(7, 2), 12_345
    theirs = expected(rule, ours, constants_of(rule), key, origin)
    rule.launch_bfloat16(ours, constants_of(rule), key, origin)
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("rule", [adam, sgd_momentum, assigning], ids=lambda rule: rule.name)
def test_parts_on_any_number_of_threads_have_the_bits_of_the_whole(rule, monkeypatch):
    size = 3 * codegen.CHUNK + 77
    whole, key = narrow(rule, size), bfloat16.key_of(1, 0)
    copies = [[v.copy() for v in whole] for _ in range(3)]
    monkeypatch.setattr(threads, "threshold", 10**9)
    rule.launch_bfloat16(whole, constants_of(rule), key)
    for a, b in ((0, 1000), (1000, 1003), (1003, size)):
        rule.launch_bfloat16([v[a:b] for v in copies[0]], constants_of(rule), key, a)
    monkeypatch.setattr(threads, "threshold", 1)
    before = threads.get_num_threads()
    try:
        for count, vectors in zip((1, 2), copies[1:], strict=True):
            threads.set_num_threads(count)
            rule.launch_bfloat16(vectors, constants_of(rule), key)
    finally:
        threads.set_num_threads(before)
    for vectors in copies:
        for x, y in zip(whole, vectors, strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_nan_stays_one():
    ours = narrow(adam, 64)
    ours[1][5] = np.uint32(0xFFFFFFFF).view(np.float32)
    for step in range(1, 4):
        adam.launch_bfloat16(ours, coefficients(adam), bfloat16.key_of(step, 0))
    for words in ours[2:]:
        assert np.flatnonzero(np.isnan(bfloat16.widened(words))).tolist() == [5]


def test_an_average_moves_by_less_than_its_resolution():
    """v = 0.999 v + 0.001 g^2 with g = 1: rounded to the nearest, it would stop at about 0.12."""
    p, g = np.zeros(2000, np.float32), np.ones(2000, np.float32)
    m, v = (np.zeros(2000, np.uint16) for _ in range(2))
    for step in range(1, 3001):
        adam.launch_bfloat16(
            (p, g, m, v), (1.0, 0.0, 1.0, 0.0, 0.1, 0.999, 0.001, 1e-8, 1.0, 1.0),
            bfloat16.key_of(step, 0),
        )  # fmt: skip
    found = bfloat16.widened(v)
    assert found.mean() == pytest.approx(1 - 0.999**3000, rel=2e-3)
    assert found.std() < 0.06


# Errors -------------------------------------------------------------------------------------------


def test_what_is_wrong_is_named():
    good, given = narrow(sgd_momentum, 9), coefficients(sgd_momentum)
    wrong = {
        "b must be uint16, got float32": [*good[:2], good[2].astype(np.float32)],
        "b must be uint16, got >u2": [*good[:2], good[2].astype(">u2")],
        "p must be float32, got float64": [v.astype(np.float64) for v in good[:2]] + good[2:],
        "b must be contiguous": [*good[:2], np.zeros(18, np.uint16)[::2]],
        "b must have one dimension": [*good[:2], np.zeros((9, 1), np.uint16)],
    }
    for message, vectors in wrong.items():
        with pytest.raises(TypeError, match=f"sgd_momentum: {message}"):
            sgd_momentum.launch_bfloat16(vectors, given, 1)
    with pytest.raises(ValueError, match="p has 9 elements and b has 8"):
        sgd_momentum.launch_bfloat16([*good[:2], good[2][:8]], given, 1)
    with pytest.raises(ValueError, match="expected 3 arrays"):
        sgd_momentum.launch_bfloat16(good[:2], given, 1)
    with pytest.raises(TypeError, match="coefficient lr must be a number"):
        sgd_momentum.launch_bfloat16(good, [*given[:2], "a", *given[3:]], 1)


def test_a_read_only_state_is_refused():
    vectors = narrow(sgd_momentum, 9)
    vectors[2].flags.writeable = False
    with pytest.raises(TypeError, match="b is read-only"):
        sgd_momentum.launch_bfloat16(vectors, coefficients(sgd_momentum), 1)


def test_the_text_can_be_read():
    assert "uint16" in adam.source(narrow=True)
    assert "int_as_float" in adam.source("cuda", narrow=True)
    assert "share(part" in adam.source("parallel", narrow=True)
    for target, dtype in (("parts", "float32"), ("cpu", "float64")):
        with pytest.raises(ValueError, match="states of 16 bits go with float32, and not with par"):
            adam.source(target, dtype, narrow=True)
