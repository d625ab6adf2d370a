"""Streams of random numbers: where they stand is all that decides; saved, copied, shared."""

import copy
import io
import json
import pickle
import threading

import numpy as np
import pytest

import tinygrad_opt as tg
import tinygrad_opt.nn.functional as F
from tinygrad_opt.arrays.random import state_of


def draws(generator):
    """Numbers of all kinds: tensors' own, and those that NumPy draws."""
    return [
        tg.rand(70, generator=generator).tolist(),
        tg.randn(3, dtype=tg.float64, generator=generator).tolist(),
        tg.randint(9, (5,), generator=generator).tolist(),
        F.dropout(tg.ones(40), 0.5, generator=generator).tolist(),
        tg.randperm(9, generator=generator).tolist(),
        tg.multinomial(tg.ones(9), 3, generator=generator).tolist(),
    ]


COPIES = {
    "state": lambda g: _with_state(g.get_state()),
    "saved": lambda g: _with_state(_saved(g.get_state())),
    "clone": lambda g: g.clone_state(),
    "as it was before": lambda g: _with_state(json.loads(json.dumps(state_of(g)))),
    "pickle": lambda g: pickle.loads(pickle.dumps(g)),
    "deepcopy": copy.deepcopy,
}


def _with_state(state):
    made = tg.Generator()
    assert made.set_state(state) is made
    return made


def _saved(state):
    file = io.BytesIO()
    tg.save({"rng": state}, file)
    file.seek(0)
    return tg.load(file)["rng"]


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("seed", [0, -1, 2**64 - 1, 2**70])
def test_copies_go_on_as_the_stream_does(way, seed):
    generator = tg.Generator().manual_seed(seed)
    first = draws(generator)
    other = COPIES[way](generator)
    assert draws(other) == (second := draws(generator))
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert draws(tg.Generator().manual_seed(seed)) == first


def test_the_stream_is_its_own_whatever_was_drawn_in_numpy_before():
    a, b = tg.Generator().manual_seed(4), tg.Generator().manual_seed(4)
    tg.randperm(100, generator=a)
    assert tg.equal(tg.rand(5, generator=a), tg.rand(5, generator=b))
    tg.rand(1000, generator=a)
    tg.randperm(100, generator=b)
    assert tg.equal(tg.randperm(5, generator=a), tg.randperm(5, generator=b))


def test_a_state_of_before_is_converted_with_a_warning():
    numpy = np.random.PCG64(3)
    numpy.random_raw(5)
    generator = tg.Generator()
    with pytest.warns(UserWarning, match="goes on with other random numbers"):
        generator.set_state({"seed": 3, "state": numpy.state})
    assert generator.initial_seed() == 3
    assert generator.numpy.bit_generator.state == numpy.state
    assert tg.equal(tg.rand(4, generator=generator),
                    tg.rand(4, generator=tg.Generator().manual_seed(3)))  # fmt: skip


def test_a_generator_pickled_before_draws_with_a_warning():
    generator = tg.Generator().manual_seed(3)
    tg.randperm(5, generator=generator)
    before = {k: v for k, v in vars(generator).items() if k not in ("_key", "_lock", "_place")}
    made = tg.Generator.__new__(tg.Generator)
    with pytest.warns(UserWarning, match="goes on with other random numbers"):
        made.__setstate__(before)
    assert tg.equal(tg.rand(4, generator=made), tg.rand(4, generator=generator))
    assert tg.equal(tg.randperm(9, generator=made), tg.randperm(9, generator=generator))


def test_what_is_no_state_is_refused_and_nothing_changes():
    generator = tg.Generator().manual_seed(3)
    tg.rand(5, generator=generator)
    before, state = generator.get_state(), state_of(generator)
    wrong = [None, {}, 5, state | {"state": None}, state | {"place": "x"},
             state | {"seed": 1.5}, state | {"state": state["state"] | {"state": 3}}]  # fmt: skip
    for given in wrong:
        with pytest.raises(TypeError, match="set_state: expected what get_state"):
            generator.set_state(given)
        assert tg.equal(generator.get_state(), before)
    with pytest.raises(TypeError, match=r"RNG state must be a torch\.ByteTensor, got float32"):
        generator.set_state(tg.zeros(3))
    for text in (b"", b"\0" * 5056, b"[1"):  # of PyTorch's length
        with pytest.raises(RuntimeError, match="bytes are not a state of this library's generator"):
            generator.set_state(tg.tensor(list(text), dtype=tg.uint8))
        assert tg.equal(generator.get_state(), before)


def test_a_state_is_a_tensor_of_bytes():
    tg.manual_seed(3)
    state = tg.get_rng_state()
    assert (state.dtype, state.ndim) == (tg.uint8, 1)
    kept = state.clone()
    drawn = tg.rand(3)
    other = tg.get_rng_state()
    assert other.shape == state.shape
    assert not (other == state).all()
    tg.set_rng_state(state)
    assert tg.equal(tg.rand(3), drawn)
    assert tg.equal(state, kept)  # a copy of its own


def test_threads_that_share_a_generator_draw_no_number_twice():
    generator, found = tg.Generator().manual_seed(1), []

    def work():
        found.extend(tg.rand(1, dtype=tg.float64, generator=generator).item() for _ in range(300))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == len(found) == 1200
    alone = tg.Generator().manual_seed(1)
    assert set(found) == {tg.rand(1, dtype=tg.float64, generator=alone).item() for _ in range(1200)}


def test_nothing_is_taken_for_what_has_no_elements():
    tg.manual_seed(0)
    before = tg.get_rng_state()
    assert tg.rand(0, 3).shape == (0, 3)
    tg.empty(0).normal_()
    assert tg.equal(tg.get_rng_state(), before)
