"""Callbacks in a second fit, after a failed one, in threads and in fits within fits."""

import copy
import itertools
import threading

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.optim.lr_scheduler import ExponentialLR
from tinygrad_opt.training import (
    EMA,
    Callback,
    ClipGradients,
    EarlyStopping,
    LogMetrics,
    MetricsLog,
    SaveCheckpoints,
    fit,
)

X = tg.tensor(np.random.default_rng(0).normal(size=(16, 2)).astype(np.float32))
DATA = [(X, X.sum(1, keepdim=True))]


def model_of(seed=1, hidden=None):
    tg.manual_seed(seed)
    return nn.Linear(2, 1) if hidden is None else nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def train(callbacks, lr=0.3, epochs=8, model=None, hidden=None):
    """The records of a fit, its weights, and those that a callback averaged, if one did."""
    model = model or model_of(hidden=hidden)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    history = fit(
        model, nn.MSELoss(), optimizer, DATA, epochs, validation=DATA, quiet=True,
        scheduler=ExponentialLR(optimizer, 0.9), callbacks=callbacks,
    )  # fmt: skip
    averages = [c.averaged.module for c in callbacks if isinstance(c, EMA)]
    return history.records, [p.tolist() for m in (model, *averages) for p in m.parameters()]


class StopAt(Callback):
    """Fails in the middle of a run, so that no callback hears of its end."""

    def __init__(self, error):
        self.error = error

    def before_step(self, run):
        if run.epoch == 2:
            raise self.error


MAKE = {
    "stopping": lambda: [EarlyStopping("val_loss", patience=2)],
    "most": lambda: [EarlyStopping("val_loss", patience=2, mode="max", restore_best=False)],
    "average": lambda: [EMA(model_of(), 0.5)],
    "best average": lambda: [EarlyStopping(patience=2), EMA(model_of(), 0.5)],
    "clipping": lambda: [ClipGradients(max_norm=0.1)],
}


@pytest.mark.parametrize("ending", [None, ValueError(), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("other", [dict(lr=0.01), dict(lr=0.01, hidden=3)], ids=["lr", "model"])
@pytest.mark.parametrize("name", MAKE)
def test_the_second_fit_is_as_with_new_callbacks(name, other, ending):
    """Whatever the first one was, and however it ended."""
    callbacks = MAKE[name]()
    if ending is None:
        train(callbacks)
    else:
        with pytest.raises(type(ending)):
            train([*callbacks, StopAt(ending)])
    assert train(callbacks, **other) == train(MAKE[name](), **other)


def test_the_second_run_is_not_stopped_by_the_first():
    stopping = EarlyStopping("val_loss", patience=2)
    first, _ = train([stopping], lr=0.3)
    second, weights = train([stopping], lr=0.01)  # worse than the first, all along
    assert len(second) == 8
    assert min(r["val_loss"] for r in first) < second[-1]["val_loss"]
    assert weights[0] != model_of().weight.tolist()


def test_more_epochs_of_the_same_model_are_judged_anew():
    model, stopping = model_of(), EarlyStopping("lr", patience=2)  # the rate falls: it is never max
    stopping.sign = -1.0
    lengths = [len(train([stopping], model=model)[0]) for _ in range(2)]
    assert lengths == [3, 3]


@pytest.mark.parametrize("first", ["saving", "state"])
def test_a_resumed_fit_goes_on_with_the_state(first, tmp_path):
    """Reset or restored, whichever stands first in the list; by the same objects, too."""
    whole = train(MAKE["best average"](), lr=0.05, epochs=6)
    saving, state = [SaveCheckpoints(tmp_path)], MAKE["best average"]()
    callbacks = saving + state if first == "saving" else state + saving
    with pytest.raises(ValueError, match="stopped"):
        train([*callbacks, StopAt(ValueError("stopped"))], lr=0.05, epochs=6)
    again = model_of()
    state[1].__init__(again, 0.5)  # the average of this model
    resumed = train(callbacks, lr=0.05, epochs=6, model=again)
    assert resumed == whole


def test_the_folder_of_a_finished_run_is_not_another_models(tmp_path):
    saving = SaveCheckpoints(tmp_path)
    model = model_of()
    train([saving], model=model, epochs=2)
    assert len(train([saving], model=model, epochs=4)[0]) == 4  # goes on
    with pytest.raises(ValueError, match=r"another model, trained to the end .*folder of its own"):
        train([saving], epochs=4)
    for path in tmp_path.iterdir():
        path.unlink()
    assert len(train([saving], epochs=3)[0]) == 3


def test_a_log_is_written_on_and_a_closed_one_says_so(tmp_path):
    path = tmp_path / "log.jsonl"
    with MetricsLog(path) as log:
        records = [train([LogMetrics(log)], lr=lr, epochs=2)[0] for lr in (0.3, 0.01)]
    found = [line["loss"] for line in MetricsLog.read(path)]
    assert found == [record["loss"] for record in itertools.chain(*records)]
    with pytest.raises(ValueError, match=r"MetricsLog: .*log\.jsonl is closed; open it again"):
        train([LogMetrics(log)])
    with MetricsLog(path) as log:
        train([LogMetrics(log)], epochs=1)
    assert len(MetricsLog.read(path)) == 5


def test_the_first_history_stays_as_it_was():
    stopping = EarlyStopping(patience=2)
    records, _ = train([stopping])
    before = copy.deepcopy(records)
    train([stopping], lr=0.01)
    assert records == before


def test_fits_in_threads_with_callbacks_of_their_own():
    names, found = list(MAKE), {}
    expected = {name: train(MAKE[name](), lr=0.05) for name in names}
    models = {name: (model_of(), MAKE[name]()) for name in names}

    def work(name):
        model, callbacks = models[name]
        found[name] = train(callbacks, lr=0.05, model=model)

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_a_fit_within_a_fit():
    class Inner(Callback):
        found = None

        def after_epoch(self, run):
            self.found = train(MAKE["best average"](), lr=0.05)

    inner = Inner()
    expected = train(MAKE["best average"](), lr=0.05)
    assert train([*MAKE["best average"](), inner], lr=0.05) == expected
    assert inner.found == expected
