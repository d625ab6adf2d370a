"""Pictures of schedules: what is drawn, and that looking changes nothing."""

import builtins
import importlib.util
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from schedulers_table import SCHEDULERS, advance, build, every_case, metric, settings_of, sgd

import tinygrad_opt
from tinygrad_opt import optim
from tinygrad_opt.optim import schedules
from tinygrad_opt.optim.lr_scheduler import CyclicLR, ExponentialLR, ReduceLROnPlateau, StepLR
from tinygrad_opt.optim.plot import plot_schedule, simulate

mpl.use("agg")
GALLERY = Path(__file__).parents[2] / "examples" / "schedules_gallery.py"
METRICS = [metric(epoch) for epoch in range(100)]


@pytest.fixture
def axes():
    return Figure().subplots()


def heights(line):
    """The value of each step: the line is flat over a step, and the last one has its end, too."""
    *values, end = line.get_ydata()
    assert line.get_drawstyle() == "steps-post"
    assert end == values[-1]
    return values


@every_case
def test_a_simulation_is_what_happens(case):
    optimizer = sgd(0.1, 0.3)
    scheduler = build(case, optimizer)
    advance(optimizer, scheduler, steps=3)
    before = settings_of(optimizer), repr(scheduler.state_dict())
    plateau = "Plateau" in case[0]
    metrics = METRICS[scheduler.last_epoch :] if plateau else None
    foreseen = simulate(scheduler, 30, metrics=metrics)
    assert before == (settings_of(optimizer), repr(scheduler.state_dict()))
    for step in range(30):
        assert [line[step] for line in foreseen] == [g["lr"] for g in settings_of(optimizer)]
        advance(optimizer, scheduler)


def test_a_function_is_one_line(axes):
    assert plot_schedule(schedules.exponential(0.5), steps=3, ax=axes) is axes
    (line,) = axes.lines
    assert heights(line) == [1.0, 0.5, 0.25]
    assert list(line.get_xdata()) == [0, 1, 2, 3]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "lr")
    assert axes.get_legend() is None


def test_a_line_for_each_group(axes):
    scheduler = ExponentialLR(sgd(0.8, 0.4), gamma=0.5)
    plot_schedule(scheduler, steps=3, ax=axes)
    assert [heights(line) for line in axes.lines] == [[0.8, 0.4, 0.2], [0.4, 0.2, 0.1]]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["ExponentialLR, group 0", "ExponentialLR, group 1"]


def test_several_at_once(axes):
    parts = [StepLR(sgd(0.8), 2), schedules.cosine(9), abs, lambda step: 1]
    plot_schedule(*parts, steps=5, ax=axes)
    names = [line.get_label() for line in axes.lines]
    assert names == ["StepLR", "cosine", "abs", "<lambda>"]
    axes.clear()
    plot_schedule(*parts, labels="wxyz", ax=axes)
    assert [line.get_label() for line in axes.lines] == list("wxyz")


def test_a_scheduler_is_drawn_from_where_it_stands(axes):
    optimizer = sgd(0.8)
    scheduler = ExponentialLR(optimizer, gamma=0.5)
    advance(optimizer, scheduler, steps=2)
    plot_schedule(scheduler, steps=2, ax=axes)
    assert list(axes.lines[0].get_xdata()) == [2, 3, 4]
    assert heights(axes.lines[0]) == [0.2, 0.1]


def test_other_settings_of_the_groups(axes):
    scheduler = CyclicLR(sgd(), 0.1, 0.2, step_size_up=1)
    plot_schedule(scheduler, steps=3, parameter="momentum", ax=axes)
    assert heights(axes.lines[0]) == pytest.approx([0.9, 0.8, 0.9])
    assert axes.get_ylabel() == "momentum"
    adam = optim.Adam([tinygrad_opt.zeros(1, requires_grad=True)])
    scheduler = CyclicLR(adam, 0.1, 0.2, step_size_up=1)
    assert simulate(scheduler, 2, "betas[0]") == [pytest.approx([0.9, 0.8])]
    assert simulate(scheduler, 2, "betas[1]") == [[0.999, 0.999]]


def test_plateaus_are_shown_metrics(axes):
    scheduler = ReduceLROnPlateau(sgd(0.8), patience=0, factor=0.5)
    plot_schedule(scheduler, steps=4, metrics=[1, 1, 0, 0], ax=axes)
    assert heights(axes.lines[0]) == [0.8, 0.8, 0.4, 0.4]
    with pytest.raises(ValueError, match=r"ReduceLROnPlateau is moved by metrics: give 4 .* None"):
        plot_schedule(scheduler, steps=4, ax=axes)
    with pytest.raises(ValueError, match="give 4 of them, got 1"):
        plot_schedule(scheduler, steps=4, metrics=[1], ax=axes)


def test_an_overridden_step_makes_no_difference(axes):
    optimizer = sgd(0.8)
    optimizer.step = lambda closure=None: None
    plot_schedule(StepLR(optimizer, 2), steps=3, ax=axes)
    assert heights(axes.lines[0]) == [0.8, 0.8, pytest.approx(0.08)]


def test_its_own_figure():
    from matplotlib import pyplot

    axes = plot_schedule(schedules.cosine(9))
    assert len(heights(axes.lines[0])) == 100
    pyplot.close(axes.figure)


def test_mistakes(axes):
    with pytest.raises(ValueError, match="0 schedules and 0 labels; give at least one"):
        plot_schedule(ax=axes)
    with pytest.raises(ValueError, match="1 schedules and 2 labels"):
        plot_schedule(abs, labels=["a", "b"], ax=axes)
    with pytest.raises(ValueError, match="the groups have no 'momentun'; they have lr, momentum"):
        plot_schedule(StepLR(sgd(), 2), parameter="momentun", ax=axes)


def test_without_matplotlib(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"needs matplotlib: pip install 'tinygrad_opt\[examp"):
        plot_schedule(schedules.cosine(9))


@pytest.mark.thorough
def test_the_gallery_draws_them_all(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(GALLERY.parent)
    spec = importlib.util.spec_from_file_location("schedules_gallery", GALLERY)
    gallery = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gallery)
    assert {name for name, _, _ in gallery.PANELS} == set(SCHEDULERS)

    picture = tmp_path / "page.png"
    command = [sys.executable, "-W", "error", GALLERY, "--out", picture]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000
