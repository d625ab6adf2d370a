"""The estimators for scikit-learn: its own checks, and what they do not check."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import tinygrad_opt as tg
from tinygrad_opt import optim
from tinygrad_opt.sklearn import Classifier, Regressor

EXCUSED = {
    "check_do_not_raise_errors_in_init_or_set_params": "takes module__width and the like as "
    "**parts, and the check takes `parts` itself, which is in the signature, for a setting",
}


@pytest.mark.parametrize("estimator", [Classifier, Regressor])
def test_scikit_learns_own_checks(estimator):
    results = check_estimator(estimator(epochs=15), on_skip=None, expected_failed_checks=EXCUSED)
    assert len(results) > 55
    assert {result["status"] for result in results} <= {"passed", "skipped", "xfail"}
    assert {r["check_name"] for r in results if r["status"] == "xfail"} == set(EXCUSED)


def rings(n=150):
    x = np.random.default_rng(0).normal(size=(n, 2))
    return x, np.where((x**2).sum(1) < 1.4, "in", "out")


def test_labels_and_probabilities():
    x, y = rings()
    model = Classifier(random_state=0, epochs=40).fit(x, y)
    assert list(model.classes_) == ["in", "out"]
    assert model.score(x, y) > 0.9
    chance = model.predict_proba(x)
    np.testing.assert_allclose(chance.sum(1), 1)
    assert (model.classes_[chance.argmax(1)] == model.predict(x)).all()
    assert len(model.loss_curve_) == 40
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_several_targets():
    x = np.random.default_rng(0).uniform(-1, 1, size=(100, 2))
    y = np.stack([x.sum(1), x[:, 0] ** 2, -x[:, 1]], axis=1)
    model = Regressor(activation="tanh", random_state=0, epochs=60).fit(x, y)
    assert model.predict(x).shape == (100, 3)
    assert model.score(x, y) > 0.95
    assert model.fit(x, y[:, 0]).predict(x).shape == (100,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_computes_in_the_type_of_the_data(dtype):
    x, y = rings()
    model = Classifier(epochs=1, random_state=0).fit(x.astype(dtype), y)
    assert next(model.model_.parameters()).dtype == dtype
    assert model.predict_proba(x).dtype == dtype


def test_seeds():
    x, y = rings()
    state = tg.get_rng_state()
    a, b, c = (Classifier(random_state=s, epochs=2).fit(x, y).predict_proba(x) for s in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c)
    assert tg.equal(tg.get_rng_state(), state)


@pytest.mark.parametrize(
    "settings",
    [
        dict(hidden=()), dict(hidden=(8, 8)), dict(activation="tanh"), dict(optimizer="sgd"),
        dict(optimizer=optim.RMSprop), dict(lr=0.001), dict(epochs=3), dict(batch_size=7),
        dict(optimizer="adamwschedulefree"),
    ],
    ids=str,
)  # fmt: skip
def test_every_setting_matters(settings):
    x, y = rings(60)
    plain = Classifier(random_state=0, epochs=2).fit(x, y).predict_proba(x)
    other = clone(Classifier(random_state=0, epochs=2).set_params(**settings)).fit(x, y)
    assert not np.allclose(plain, other.predict_proba(x))


def test_in_a_pipeline_and_a_search():
    x, y = rings()
    pipeline = make_pipeline(StandardScaler(), Classifier(random_state=0, epochs=15))
    search = GridSearchCV(pipeline, {"classifier__lr": [1e-6, 0.02]}, cv=2).fit(x * 100 + 7, y)
    assert search.best_params_ == {"classifier__lr": 0.02}
    assert search.best_score_ > 0.8


def test_mistakes():
    x, y = rings(20)
    for settings, text in [
        (dict(optimizer="adaam"), r"optimizer must be a class, or the name .*adamw.*got 'adaam'"),
        (dict(activation="step"), "activation must be one of relu, tanh, .*, got 'step'"),
        (dict(epochs=0), "Classifier: epochs must be at least 1, got 0"),
        (dict(batch_size=0), "Classifier: batch_size must be at least 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=text):
            Classifier(**settings).fit(x, y)


def test_without_scikit_learn():
    code = "import sys; sys.modules['sklearn.base'] = None; import tinygrad_opt.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'tinygrad_opt[sklearn]'" in done.stderr


def test_verbose_shows_how_it_goes(capsys):
    x, y = rings(20)
    Classifier(epochs=2).fit(x, y)
    assert capsys.readouterr().err == ""
    Classifier(epochs=2, verbose=True).fit(x, y)
    assert "training" in capsys.readouterr().err
