"""Early stopping, averages, clipping, checkpoints and logs around `fit`."""

import math

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.optim.lr_scheduler import CosineAnnealingLR
from tinygrad_opt.training import (
    EMA,
    Callback,
    ClipGradients,
    EarlyStopping,
    LogMetrics,
    MetricsLog,
    SaveCheckpoints,
    evaluate,
    fit,
)
from tinygrad_opt.utils.data import DataLoader, TensorDataset


def line(slope=1.0):
    """One weight w, and batches that want it to be `slope`: the loss is (w - slope)^2."""
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    x = tg.ones(4, 1)
    return model, [(x, x * slope)]


class Scripted(Callback):
    """Writes the number to be monitored, and the weight, by a script."""

    def __init__(self, values):
        self.values = values

    def evaluated(self, run):
        run.history.records[-1]["score"] = self.values[run.epoch - 1]
        run.model.weight.data.fill_(float(run.epoch))


def stopped(values, epochs=10, **settings):
    model, batches = line()
    stopping = EarlyStopping("score", **settings)
    history = fit(
        model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.0), batches, epochs,
        callbacks=[Scripted(values), stopping],
    )  # fmt: skip
    return len(history), model.weight.item()


@pytest.mark.parametrize(
    ("settings", "values", "expected"),
    [
        (dict(patience=2), [5, 4, 4, 4.5, 1, 0], (4, 2.0)),
        (dict(patience=3), [5, 4, 4, 4.5, 1, 0, 0, 0, 0, 0], (9, 6.0)),
        (dict(patience=2, restore_best=False), [5, 4, 4, 4.5, 1, 0], (4, 4.0)),
        (dict(patience=2, mode="max"), [1, 3, 2, 3, 9], (4, 2.0)),
        (dict(patience=2, min_delta=0.5), [5, 4.6, 4.55, 1], (3, 1.0)),
        (dict(patience=2), [5, math.nan, math.nan, 1], (3, 1.0)),
        (dict(patience=9), [5, 1, 2], (3, 2.0)),
    ],
)
def test_early_stopping(settings, values, expected):
    assert stopped(values, epochs=len(values), **settings) == expected


def test_early_stopping_says_what_is_measured():
    model, batches = line()
    with pytest.raises(ValueError, match=r"'val_loss' is measured, only epoch, step, lr, loss;"):
        fit(
            model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.1), batches,
            callbacks=[EarlyStopping()],
        )  # fmt: skip
    for settings in (dict(mode="least"), dict(patience=0), dict(min_delta=-1.0)):
        with pytest.raises(ValueError, match='EarlyStopping: mode must be "min" or "max"'):
            EarlyStopping(**settings)


def test_an_average_is_validated_and_the_model_trains_on():
    model, batches = line()
    ema = EMA(model, decay=0.5)
    history = fit(
        model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.25), batches, 3,
        validation=batches, callbacks=[ema],
    )  # fmt: skip
    # w = 0.5, 0.75, 0.875; the average starts at the first: 0.5, 0.625, 0.75
    assert model.weight.item() == 0.875
    assert ema.averaged.module.weight.item() == 0.75
    assert history["val_loss"] == [0.25, 0.375**2, 0.25**2]


def test_the_best_average_is_restored():
    model, batches = line()
    ema, stopping = EMA(model, decay=0.5), EarlyStopping(patience=5)
    history = fit(
        model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.25), batches, 3,
        validation=batches, callbacks=[stopping, ema],
    )  # fmt: skip
    assert model.weight.item() == 0.75
    assert evaluate(model, nn.MSELoss(), batches)["loss"] == history.best()["val_loss"]


@pytest.mark.parametrize(
    ("clipping", "expected"),
    [
        (ClipGradients(max_norm=0.5), 0.5),
        (ClipGradients(max_norm=100.0), 8.0),
        (ClipGradients(max_value=0.25), 0.25),
    ],
)
def test_clipping(clipping, expected):
    model, batches = line(slope=4.0)  # the gradient at 0 is -8
    fit(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=1.0), batches, callbacks=[clipping])
    assert model.weight.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("settings", [{}, dict(max_norm=1.0, max_value=1.0)])
def test_clipping_needs_one_bound(settings):
    with pytest.raises(ValueError, match="ClipGradients: give max_norm or max_value, one of them"):
        ClipGradients(**settings)


def test_metrics_are_logged(tmp_path):
    model, batches = line()
    with MetricsLog(tmp_path / "log.jsonl") as log:
        history = fit(
            model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.25), batches, 3,
            validation=batches, callbacks=[LogMetrics(log)],
        )  # fmt: skip
    rows = MetricsLog.read(tmp_path / "log.jsonl")
    for row, record in zip(rows, history.records, strict=True):
        assert row.pop("time") > 0
        assert row == record


class Killed(Exception):
    pass


class KillAt(Callback):
    """A power cut after so many steps."""

    def __init__(self, step):
        self.step = step

    def after_step(self, run):
        if run.step == self.step:
            raise Killed


def train(folder, kill_at=None, epochs=6, patience=4):
    """A run with everything that has a state; returns its model, history and average."""
    tg.manual_seed(1)
    x = tg.randn(24, 3)
    data = TensorDataset(x, (x**2).sum(1, keepdim=True))
    loader = DataLoader(data, batch_size=8, shuffle=True, generator=tg.Generator().manual_seed(9))
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1))
    optimizer = optim.AdamW(model.parameters(), lr=0.05)
    ema = EMA(model, 0.8)
    callbacks = [SaveCheckpoints(folder, keep=2), EarlyStopping(patience=patience), ema]
    history = fit(
        model, nn.MSELoss(), optimizer, loader, epochs, validation=[(x, data.tensors[1] + 1)],
        scheduler=CosineAnnealingLR(optimizer, T_max=18), scheduler_per="step",
        callbacks=[*callbacks, *([] if kill_at is None else [KillAt(kill_at)])],
    )  # fmt: skip
    return model, history, ema


@pytest.mark.parametrize("moments", [[1], [4], [9, 10, 11], [17], [18]])
def test_an_interrupted_run_ends_with_the_same_bits(moments, tmp_path):
    whole = train(tmp_path / "whole")
    for moment in moments:
        with pytest.raises(Killed):
            train(tmp_path / "cut", kill_at=moment)
    resumed = train(tmp_path / "cut")
    assert resumed[1].records == whole[1].records
    for a, b in [(resumed[0], whole[0]), (resumed[2].averaged, whole[2].averaged)]:
        for (name, ours), theirs in zip(
            a.state_dict().items(), b.state_dict().values(), strict=True
        ):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=name)


def test_a_finished_run_goes_on_for_more_epochs(tmp_path):
    assert len(train(tmp_path / "a", epochs=3)[1]) == 3
    model, history, _ = train(tmp_path / "a", epochs=6)
    other, whole, _ = train(tmp_path / "b", epochs=6)
    assert history.records == whole.records
    np.testing.assert_array_equal(model[0].weight.detach(), other[0].weight.detach())


def test_a_run_that_stopped_early_stays_stopped(tmp_path):
    for _ in range(2):
        model, batches = line()
        history = fit(
            model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.25), batches, 9,
            callbacks=[EarlyStopping("lr", patience=2), SaveCheckpoints(tmp_path)],
        )  # fmt: skip
        assert len(history) == 3
        assert model.weight.item() == 0.5  # of the first epoch


def test_checkpoints_now_and_then(tmp_path):
    model, batches = line()
    saving = SaveCheckpoints(tmp_path, every=2, keep=None)
    fit(model, nn.MSELoss(), optim.SGD(model.parameters(), 0.1), batches, 5, callbacks=[saving])
    assert saving.checkpoints.steps() == [2, 4]
    with pytest.raises(ValueError, match="every must be at least 1 epoch, got 0"):
        SaveCheckpoints(tmp_path, every=0)
