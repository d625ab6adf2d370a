"""Estimators with modules of one's own, weights, early stopping, and fits that go on."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tinygrad_opt import nn
from tinygrad_opt.sklearn import Classifier, Regressor
from tinygrad_opt.training import Callback, History


class Net(nn.Module):
    def __init__(self, width=8, outputs=2):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, outputs))

    def forward(self, x):
        return self.layers(x.flatten(1))


class Count(Callback):
    epochs = 0

    def after_epoch(self, run):
        self.epochs += 1


def rings(n=120):
    x = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    return x, np.where((x**2).sum(1) < 1.4, "in", "out")


def line(n=120):
    x, _ = rings(n)
    return x, x.sum(1)


def quick(**settings):
    return Classifier(**{"random_state": 0, "epochs": 3, **settings})


def test_modules_of_ones_own():
    x, y = rings()
    start = Net(5)
    before = start.layers[0].weight.detach().numpy().copy()
    for module, width in ((Net, 8), (start, 5), (lambda: Net(4), 4)):
        model = clone(quick(module=module)).fit(x, y)
        assert model.model_.layers[0].weight.shape == (width, 2)
        assert model.predict_proba(x).shape == (120, 2)
    np.testing.assert_array_equal(start.layers[0].weight.detach().numpy(), before)
    model = quick(module=Net, epochs=60, lr=0.05).fit(x, y)
    assert model.score(x, y) > 0.9
    images = x.reshape(-1, 1, 2)
    assert quick(module=Net).fit(images, y).predict(images).shape == (120,)


def test_settings_of_the_parts():
    x, y = rings()
    model = quick(module=Net, module__width=3, optimizer="adamw", optimizer__weight_decay=0.5)
    assert clone(model).get_params()["module__width"] == 3
    model.set_params(module__width=6, epochs=2, criterion=nn.CrossEntropyLoss)
    model.set_params(criterion__label_smoothing=0.3).fit(x, y)
    assert model.model_.layers[0].weight.shape == (6, 2)
    assert model.optimizer_.param_groups[0]["weight_decay"] == 0.5
    assert len(model.history_) == 2
    plain = clone(model).set_params(criterion__label_smoothing=0.0).fit(x, y)
    assert plain.loss_curve_ != model.loss_curve_
    pipeline = make_pipeline(StandardScaler(), quick(module=Net, epochs=20))
    search = GridSearchCV(pipeline, {"classifier__module__width": [1, 16]}, cv=2).fit(x, y)
    assert search.best_params_ == {"classifier__module__width": 16}


def test_early_stopping_and_callbacks():
    x, y = rings()
    count = Count()
    model = quick(epochs=300, lr=0.05, early_stopping=True, n_iter_no_change=3, callbacks=count)
    model.fit(x, y)
    assert model.n_iter_ == len(model.history_) == count.epochs < 300
    held_out = model.history_["val_loss"]
    assert len(held_out) - 1 - int(np.argmin(held_out)) <= 13  # gains below tol count for none
    assert isinstance(model.history_, History)
    assert model.score(x, y) > 0.85


@pytest.mark.parametrize("make", [Classifier, Regressor])
def test_weights(make):
    """Weight 0 is as good as absent; equal weights are none."""
    x, y = rings(40) if make is Classifier else line(40)
    other = y.copy()
    other[20:] = y[20:][::-1]

    def outputs(y, weights):
        model = make(random_state=0, epochs=4, batch_size=40).fit(x, y, sample_weight=weights)
        return model._outputs(x)

    half = np.repeat([1.0, 0.0], 20)
    np.testing.assert_allclose(outputs(y, half), outputs(other, half), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(outputs(y, None), outputs(y, np.full(40, 2.0)), rtol=1e-4, atol=1e-5)
    assert not np.allclose(outputs(y, None), outputs(y, half), atol=1e-4)


@pytest.mark.parametrize("make", [Classifier, Regressor])
def test_samples_of_weight_0_are_not_held_out(make):
    """With them a model would be stopped, and kept, by a loss of 0 that says nothing."""
    x, y = rings(40) if make is Classifier else line(40)
    half = np.repeat([1.0, 0.0], 20)
    settings = dict(random_state=0, epochs=5, early_stopping=True, n_iter_no_change=2)
    whole = make(**settings).fit(x, y, sample_weight=half)
    alone = make(**settings).fit(x[:20], y[:20], sample_weight=half[:20])
    assert whole.history_["val_loss"] == alone.history_["val_loss"]
    assert min(whole.history_["val_loss"]) > 0
    with pytest.raises(ValueError, match=r"at least one non-zero number|gave no batches|n_samples"):
        make(**settings).fit(x, y, sample_weight=np.zeros(40))


def test_partial_fit_goes_on_also_from_a_pickle():
    x, y = rings()
    model = quick()
    with pytest.raises(ValueError, match="the first call of partial_fit needs all classes"):
        model.partial_fit(x, y)
    model.partial_fit(x[:10], np.repeat("in", 10), classes=["in", "out"])
    assert list(model.classes_) == ["in", "out"]
    twin = pickle.loads(pickle.dumps(model))
    for each in (model, twin):
        for _ in range(2):
            each.partial_fit(x, y)
        assert each.history_["epoch"] == [1, 2, 3]
    np.testing.assert_array_equal(model.predict_proba(x), twin.predict_proba(x))
    with pytest.raises(ValueError, match=r"y has classes .*'other'.* that are not among"):
        model.partial_fit(x[:1], ["other"])
    with pytest.raises(ValueError, match=r"classes are .* since the first call, got \['a'\]"):
        model.partial_fit(x, y, classes=["a"])
    assert model.fit(x, y).n_iter_ == 3  # begins anew


def test_warm_start_goes_on():
    x, y = line()
    model = Regressor(random_state=0, epochs=5, warm_start=True).fit(x, y)
    first = model.loss_curve_[-1]
    assert model.fit(x, y).loss_curve_[5] < first
    assert model.history_["epoch"] == list(range(1, 11))
    with pytest.raises(ValueError, match="y had 1 outputs before, and has 2 now"):
        model.fit(x, np.stack([y, y], 1))
    once = Regressor(random_state=0, epochs=5).fit(x, y)
    assert once.fit(x, y).n_iter_ == 5
    assert once.partial_fit(x, y).n_iter_ == 6


def test_mistakes():
    x, y = rings(20)
    for settings, error, text in [
        (dict(epoch=3), TypeError, "Classifier has no setting 'epoch'; those of a part are named"),
        (dict(module=3), TypeError, "could not be made"),
        (dict(module=dict), TypeError, "module must be an nn.Module, its class, or a function"),
        (dict(module=Net, module__depth=3), TypeError, r"Net\(depth\) could not be made"),
        (dict(module=Net(), module__width=3), ValueError, "is made already, so that width cannot"),
        (dict(early_stopping=True, validation_fraction=1.5), ValueError, "must lie between 0 and"),
        (dict(n_iter_no_change=0), ValueError, "n_iter_no_change must be at least 1, got 0"),
        (dict(callbacks=[3]), TypeError, "callbacks must be Callbacks"),
        (dict(epochs="3"), TypeError, "epochs must be a whole number, got '3'"),
        (dict(batch_size=None), TypeError, "batch_size must be a whole number, got None"),
        (dict(lr="0.1"), TypeError, "lr must be a number, got '0.1'"),
        (dict(hidden=8), TypeError, r"hidden must be widths, such as \(32,\), got 8"),
    ]:
        with pytest.raises(error, match=text):
            quick(**settings).fit(x, y)
    with pytest.raises(ValueError, match="sample_weight needs a criterion with a `reduction`"):
        quick(criterion=lambda output, target: output.sum()).fit(x, y, np.ones(20))
    with pytest.raises(ValueError, match="Invalid parameter 'epoch'"):
        quick().set_params(epoch=3)


def test_subclasses_may_have_fewer_settings_and_notes_of_their_own():
    class Narrow(Classifier):
        def __init__(self, hidden=(4,)):
            super().__init__(hidden, epochs=1)

    model = clone(Narrow((3,)))
    model.note = "mine"
    assert model.fit(*rings()).model_[0].weight.shape == (3, 2)


def test_more_classes_than_are_held_out():
    x, _ = rings()
    model = quick(early_stopping=True).fit(x, np.arange(120) % 40)
    assert "val_loss" in model.history_.records[-1]
