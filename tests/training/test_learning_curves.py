"""The history of a run, and its curves."""

import math
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from tinygrad_opt.training import History

mpl.use("agg")
RECORDS = [
    dict(epoch=1, step=5, lr=0.1, loss=1.0, accuracy=0.5, val_loss=1.5, val_accuracy=0.25),
    dict(epoch=2, step=10, lr=0.1, loss=0.5, accuracy=0.75, val_loss=1.0, val_accuracy=0.75),
    dict(epoch=3, step=15, lr=0.05, loss=0.25, accuracy=1.0, val_loss=1.25, val_accuracy=0.5),
]


def test_numbers():
    history = History(RECORDS)
    assert len(history) == 3
    assert history["val_loss"] == [1.5, 1.0, 1.25]
    assert history.best() == RECORDS[1]
    assert history.best("loss") == RECORDS[2]
    assert history.best("accuracy", "max") == RECORDS[2]
    assert repr(history).startswith("<History of 3 epochs: epoch 3, step 15, lr 0.05, loss 0.25")
    other = History()
    other.load_state_dict(history.state_dict())
    assert other.records == RECORDS


def test_names_are_in_it_and_epochs_are_gone_through():
    history = History(RECORDS)
    assert "loss" in history
    assert "nothing" not in history
    assert list(history) == history.records


def test_what_is_no_number_is_never_the_best():
    history = History([{"epoch": 1, "loss": math.nan}, {"epoch": 2, "loss": 0.5}])
    assert history.best("loss")["epoch"] == history.best("loss", "max")["epoch"] == 2
    assert "nan" in history._repr_html_()


def test_curves():
    axes = Figure().subplots(1, 3)
    drawn = History(RECORDS).plot(axes=axes)
    assert [ax.get_title() for ax in drawn] == ["loss", "accuracy", "lr"]
    assert [line.get_label() for line in axes[0].lines] == ["training", "validation"]
    assert list(axes[0].lines[1].get_ydata()) == [1.5, 1.0, 1.25]
    assert list(axes[0].lines[1].get_xdata()) == [1, 2, 3]
    assert list(axes[2].lines[0].get_ydata()) == [0.1, 0.1, 0.05]
    assert axes[0].get_legend() is not None
    assert axes[2].get_legend() is None


def test_a_steady_rate_is_not_drawn():
    from matplotlib import pyplot

    drawn = History(RECORDS[:2]).plot()
    assert [ax.get_title() for ax in drawn] == ["loss", "accuracy"]
    pyplot.close(drawn[0].figure)
    (ax,) = History(RECORDS[:2]).plot("lr", axes=[Figure().subplots()])
    assert list(ax.lines[0].get_ydata()) == [0.1, 0.1]


def test_mistakes(monkeypatch):
    history = History(RECORDS)
    with pytest.raises(KeyError, match="the history has no 'auc'; it has epoch, step, lr, loss"):
        history["auc"]
    with pytest.raises(KeyError, match="no 'auc'"):
        history.plot("auc", axes=[Figure().subplots()])
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', got 'least'"):
        history.best(mode="least")
    with pytest.raises(ValueError, match="nothing was measured yet"):
        History().plot()
    with pytest.raises(ValueError, match="1 axes for 3 pictures"):
        history.plot(axes=[Figure().subplots()])
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"History.plot needs matplotlib: .*opt\[examples\]"):
        history.plot()


def test_a_notebook_shows_a_table():
    root = ET.fromstring(f"<div>{History(RECORDS)._repr_html_()}</div>")
    rows = [list(row) for row in root.iter("tr")]
    assert ["".join(cell.itertext()) for cell in rows[0]] == list(RECORDS[0])
    assert ["".join(cell.itertext()) for cell in rows[1]][3:6] == ["1", "0.5", "1.5"]
    marked = ["".join(b.itertext()) for b in root.iter("b")]
    assert marked == ["1", "0.25"]  # val_loss 1.0 of epoch 2, loss 0.25 of epoch 3
    many = History([dict(epoch=i, loss=1.0 / i) for i in range(1, 101)])._repr_html_()
    assert "... 60 more ..." in many
    assert many.count("<tr>") == 42
    assert "<table>" in History()._repr_html_()
