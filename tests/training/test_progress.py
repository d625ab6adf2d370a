"""How a loop shows how far it is: in a terminal, a notebook, a pipe, with and without tqdm."""

import io
import re
import subprocess
import sys
import time
import types

import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.training import accuracy, evaluate, fit, progress


@pytest.fixture
def shown(monkeypatch):
    """Makes stderr a terminal or not, this a notebook or not, and tqdm installed or not."""

    def make(terminal=False, notebook=False, installed=True, columns=110):
        stream = io.StringIO()
        stream.isatty = lambda: terminal
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("COLUMNS", str(columns))
        if not installed:
            monkeypatch.setitem(sys.modules, "tqdm", None)
        if notebook:
            shell = types.SimpleNamespace(config={"IPKernelApp": {}})
            ipython = types.SimpleNamespace(get_ipython=lambda: shell)
            monkeypatch.setitem(sys.modules, "IPython", ipython)
        return stream

    return make


def train(epochs=3, model=None, **options):
    x, y = tg.randn(8, 3), tg.zeros(8, dtype=tg.int64)
    model = model or nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return fit(model, nn.CrossEntropyLoss(), optimizer, [(x, y)], epochs, **options)


LINE = re.compile(r"training, epoch (\d+)/(\d+): loss=[\d.]+, lr=0\.1 \[\d+ s\]")


@pytest.mark.parametrize("place", [{}, dict(installed=False), dict(terminal=True, installed=False)])
def test_lines_where_there_is_no_bar(place, shown, capsys):
    stream = shown(**place)
    train(3)
    lines = stream.getvalue().splitlines()
    assert [LINE.fullmatch(line).groups() for line in lines] == [("1", "3"), ("2", "3"), ("3", "3")]
    assert capsys.readouterr().out == ""  # what a program prints stays its own


def test_a_pipe_gets_its_lines_at_once():
    code = """if True:
        import time, tinygrad_opt as tg
        from tinygrad_opt import nn, optim
        from tinygrad_opt.training import Callback, fit
        class Slow(Callback):
            def after_epoch(self, run):
                if run.epoch == 2:
                    time.sleep(60)
        model = nn.Linear(1, 1)
        fit(model, nn.MSELoss(), optim.SGD(model.parameters()), [(tg.ones(1, 1), tg.ones(1, 1))],
            4, callbacks=Slow())
    """
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stderr.readline().startswith("training, epoch 1/4: loss=")
        finally:
            child.kill()


@pytest.mark.parametrize("place", [{}, dict(terminal=True), dict(notebook=True)])
def test_quiet_says_nothing(place, shown, capsys):
    stream = shown(**place)
    train(3, quiet=True)
    evaluate(nn.Identity(), nn.MSELoss(), [(tg.ones(2), tg.ones(2))], quiet=True)
    assert stream.getvalue() == ""
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("place", [dict(terminal=True), dict(notebook=True)])
def test_a_terminal_and_a_notebook_get_a_bar(place, shown):
    stream = shown(**place)
    train(3)
    printed = stream.getvalue()
    assert "training: 3/3 |" in printed
    assert "loss=" in printed
    assert "training, epoch" not in printed


def test_a_notebook_without_tqdm_gets_lines_where_they_are_not_red(shown, capsys):
    stream = shown(notebook=True, installed=False)
    train(2)
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert stream.getvalue() == ""


@pytest.mark.parametrize("columns", [60, 80, 110, 240])
def test_many_metrics_leave_room_for_the_bar(columns, shown):
    stream = shown(terminal=True, columns=columns)
    tg.manual_seed(0)
    metrics = {f"metric{i}": accuracy for i in range(4)}
    x, y = tg.randn(8, 3), tg.zeros(8, dtype=tg.int64)
    train(2, metrics=metrics, validation=[(x, y)])
    last = stream.getvalue().split("\r")[-1]
    assert "|##########" in last.replace("█", "#")  # at least ten columns
    assert "loss=" in last
    assert len(last.rstrip()) <= max(columns, 75)
    assert ("val_loss=" in last) == (columns >= 80)
    assert ("lr=" in last) == (columns >= 240)


@pytest.mark.parametrize(
    ("total", "expected"),
    [(1, [1]), (100, list(range(1, 101))), (1000, [1, *range(50, 1001, 50)])],
)
def test_long_loops_get_some_lines(total, expected, shown):
    stream = shown()
    assert list(progress(range(total), "going")) == list(range(total))
    found = [int(re.match(r"going (\d+)/", line)[1]) for line in stream.getvalue().splitlines()]
    assert found == expected


def test_slow_loops_get_a_line_every_few_seconds(shown, monkeypatch):
    stream, clock = shown(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def slow(count):
        for i in range(count):
            clock[0] += 2
            yield i

    list(progress(slow(7), "unknown length", unit="step"))
    list(progress(slow(7), "inner", total=7, leave=False))
    lines = [line.partition(" [")[0] for line in stream.getvalue().splitlines()]
    assert lines == [
        "unknown length, step 1", "unknown length, step 4", "unknown length, step 7",
        "inner 3/7", "inner 6/7",
    ]  # fmt: skip


def test_the_last_turn_of_a_loop_that_ends_early(shown):
    stream = shown()
    loop = progress(range(1000), "going")
    for i in loop:
        if i == 7:
            break
        loop.set_postfix(i=i, text="so")
    loop.close()
    loop.close()
    assert [line.partition(" [")[0] for line in stream.getvalue().splitlines()] == [
        "going 1/1000: i=0, text=so", "going 7/1000: i=6, text=so",
    ]  # fmt: skip


def test_a_resumed_run_counts_on(shown):
    stream = shown()
    list(progress(range(5, 8), "going", initial=5, total=8))
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ["6/8", "7/8", "8/8"]


@pytest.mark.parametrize("trouble", ["none", "closed", "broken"])
def test_nobody_listening_does_not_end_a_run(trouble, monkeypatch):
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    stream = {"none": None, "closed": io.StringIO(), "broken": Broken()}[trouble]
    if trouble == "closed":
        stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    assert len(train(2)) == 2


def test_fits_within_fits(shown):
    stream = shown()
    x = tg.ones(2, 3)

    def loss_fn(output, target):
        train(1, quiet=False)
        return (output - target).pow(2).mean()

    model = nn.Linear(3, 3)
    fit(model, loss_fn, optim.SGD(model.parameters(), 0.1), [(x, x)], 2)
    assert [line.split(":")[0] for line in stream.getvalue().splitlines()] == [
        "training, epoch 1/1", "training, epoch 1/2", "training, epoch 1/1", "training, epoch 2/2",
    ]  # fmt: skip


def test_any_iterable_and_a_silent_one():
    assert list(progress(iter("ab"), "letters", quiet=True)) == ["a", "b"]
    quiet = progress([1], "one", quiet=True)
    quiet.set_postfix(loss=1.0)
    quiet.close()
