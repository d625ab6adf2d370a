"""Random numbers of the estimators: of their own, whatever happens beside them."""

import threading

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import tinygrad_opt as tg
from tinygrad_opt import nn, random
from tinygrad_opt.sklearn import Classifier, Regressor


def problem(n=60):
    x = np.random.default_rng(0).normal(size=(n, 2))
    return x, (x.sum(1) > 0).astype(int)


def settings(**other):
    return dict(hidden=(8,), epochs=4, batch_size=8) | other


def outcome(estimator):
    x, y = problem()
    return estimator.fit(x, y).predict_proba(x)


def expected(state=1):
    return outcome(Classifier(random_state=state, **settings()))


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_seed_holds_beside_other_fits(backend):
    right = expected()
    before = tg.get_rng_state()
    estimators = [Classifier(random_state=s, **settings()) for s in (1, 2, 1, 3, 1, 1)]
    found = joblib.Parallel(2, backend=backend)(joblib.delayed(outcome)(e) for e in estimators)
    for estimator, probabilities in zip(estimators, found, strict=True):
        assert np.array_equal(probabilities, right) == (estimator.random_state == 1)
    assert tg.equal(tg.get_rng_state(), before)


def test_a_seed_holds_while_others_draw_and_seed():
    """The default generator belongs to the rest of the program, in this thread and in others."""
    right, ended, drawn = expected(), threading.Event(), []

    def others():
        tg.manual_seed(5)
        while not ended.is_set():
            drawn.append(tg.rand(1).item())

    thread = threading.Thread(target=others)
    thread.start()
    try:
        for _ in range(3):
            np.testing.assert_array_equal(expected(), right)
    finally:
        ended.set()
        thread.join()
    tg.manual_seed(5)
    assert drawn == [tg.rand(1).item() for _ in drawn]


@pytest.mark.parametrize("kind", [Classifier, Regressor])
def test_seeds_of_every_kind(kind):
    x, y = problem()

    def fitted(state, model=None):
        model = model or kind(**settings())
        return model.set_params(random_state=state).fit(x, y).predict(x).astype(float)

    again = np.random.RandomState(1)
    first, second = fitted(again), fitted(again)  # goes on, as everywhere in scikit-learn
    np.testing.assert_array_equal(first, fitted(np.random.RandomState(1)))
    np.random.seed(7)  # None means NumPy's global generator
    whole = [fitted(None), fitted(None)]
    np.random.seed(7)
    np.testing.assert_array_equal(whole, [fitted(None), fitted(None)])
    model = kind(**settings(random_state=4))
    same = [fitted(4, model), fitted(4, model), fitted(4, clone(model))]
    np.testing.assert_array_equal(same, [same[0]] * 3)
    if kind is Regressor:  # of two classes two networks may say the same
        assert not np.allclose(first, second)
        assert not np.allclose(*whole)
    with pytest.raises(ValueError, match="cannot be used to seed"):
        fitted("seed")


def test_the_order_of_processes_does_not_matter():
    x, y = problem()
    model = Classifier(random_state=0, **settings())
    scores = [cross_val_score(model, x, y, cv=3, n_jobs=n) for n in (1, 2)]
    np.testing.assert_array_equal(*scores)


def test_nothing_is_left_of_a_fit_that_failed():
    x, y = problem()
    before = tg.get_rng_state()

    def fails(parameters, lr):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Classifier(random_state=0, optimizer=fails, **settings()).fit(x, y)
    assert random.current() is tg.default_generator
    assert tg.equal(tg.get_rng_state(), before)


def test_a_generator_in_the_place_of_the_default_one():
    """All that draws without a generator of its own draws from it, and the seeding is about it."""

    def draws():
        layer = nn.Linear(3, 2)
        dropped = nn.functional.dropout(tg.ones(20), 0.5)
        return [*layer.weight.flatten().tolist(), *dropped.tolist(), *tg.randperm(5).tolist()]

    before = tg.get_rng_state()
    with random.drawing_from(tg.Generator().manual_seed(3)) as own:
        first = draws()
        assert tg.initial_seed() == 3
        assert tg.equal(tg.get_rng_state(), own.get_state())
        with random.drawing_from(tg.Generator().manual_seed(4)):
            inner = draws()
        state = tg.get_rng_state()
        after = draws()
        tg.set_rng_state(state)
        assert draws() == after
        assert tg.manual_seed(3) is own
        assert draws() == first
        tg.seed()
    assert tg.equal(tg.get_rng_state(), before)
    tg.manual_seed(3)
    assert draws() == first  # the same stream as the default one's
    tg.manual_seed(4)
    assert draws() == inner


def test_other_threads_keep_the_default_generator():
    seen = []
    with random.drawing_from(tg.Generator()):
        thread = threading.Thread(target=lambda: seen.append(random.current()))
        thread.start()
        thread.join()
    assert seen == [tg.default_generator]
