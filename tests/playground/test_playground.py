"""The playground without its page: data sets, the race, orders to a session, rules from text."""

import re
import socket
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest

from tinygrad_opt import optim, tensor
from tinygrad_opt.commands import main
from tinygrad_opt.kernels import adam
from tinygrad_opt.playground.contestants import CONTESTANTS, SCHEDULES, schedule, typed_entry
from tinygrad_opt.playground.race import LONGEST, Choice, History, Race, Racer
from tinygrad_opt.playground.rule_text import rule_from_text, text_of_rule
from tinygrad_opt.playground.session import Session
from tinygrad_opt.playground.tasks import (
    DATASETS,
    LANDSCAPES,
    Classification,
    Descent,
    points,
)

# Tasks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DATASETS)
def test_data_sets(name):
    x, y = points(name, 100, 0.0)
    assert (x.shape, x.dtype, y.dtype) == ((100, 2), np.float32, np.int64)
    assert np.bincount(y).tolist() == [50, 50]
    assert np.abs(x).max() < Classification.limit
    # Without noise each point's nearest other one is of its class, but for a few.
    apart = np.linalg.norm(x[:, None] - x[None], axis=-1) + 9 * np.eye(100)
    assert np.mean(y[apart.argmin(1)] == y) > 0.9
    assert np.std(points(name, 100, 0.2)[0] - x) == pytest.approx(0.2, rel=0.15)


@pytest.mark.parametrize("name", LANDSCAPES)
def test_landscapes(name):
    landscape = LANDSCAPES[name]
    left, right, low, high = landscape.view
    for x, y in (landscape.start, *landscape.goals):
        assert left < x < right
        assert low < y < high
    for goal in landscape.goals:
        x, y = tensor(goal, dtype=np.float64, requires_grad=True)[:2]
        assert landscape.function(x, y).item() == pytest.approx(0, abs=1e-9)
        p = tensor(goal, dtype=np.float64, requires_grad=True)
        landscape.function(p[0], p[1]).backward()
        assert p.grad.abs().max().item() < 1e-3
    assert Descent(name).heights(9).shape == (9, 9)


def test_every_model_of_a_task_is_the_same():
    prepared = Classification(layers=1, width=3, batch=8).prepare()
    a, b = prepared.model(), prepared.model()
    assert all((p == q).all() for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert [tuple(p.shape) for p in a.parameters()] == [(3, 2), (3,), (2, 3), (2,)]
    assert [v.tolist() for v in prepared.batch(5)] == [v.tolist() for v in prepared.batch(5)]
    assert prepared.batch(5)[0].tolist() != prepared.batch(6)[0].tolist()


# Contestants --------------------------------------------------------------------------------------

ABSENT = {"Optimizer", "SparseAdam", "Muon"}  # the base class; rows alone; matrices alone


def test_every_optimizer_takes_part():
    spaces = ((optim, ""), (optim.textbook, "textbook "))
    names = {
        prefix + name
        for space, prefix in spaces
        for name in space.__all__
        if isinstance(getattr(space, name), type)
        and issubclass(getattr(space, name), optim.Optimizer)
    }
    assert set(CONTESTANTS) == names - ABSENT


@pytest.mark.parametrize("name", CONTESTANTS)
def test_every_optimizer_goes_down(name):
    racer = Racer(Descent("bowl"), Choice(CONTESTANTS[name], {}), 100)
    for _ in range(30):
        racer.advance()
    assert racer.stopped == ""
    losses = racer.history.columns(4)[1]
    assert losses[-1] < 0.95 * losses[0]
    entry = CONTESTANTS[name]
    assert "lr" in {knob.name for knob in entry.knobs}
    assert entry.formula().startswith(entry.cls.__doc__.split("\n")[0][:20])
    assert "lr = " not in entry.formula().split("\n")


def test_a_knob_reaches_the_optimizer():
    entry = CONTESTANTS["Adam"]
    optimizer = entry.make([tensor([1.0], requires_grad=True)], {"beta2": 0.5, "lr": 0.3})
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.5)
    entry.turn(optimizer, {"lr": 0.4, "amsgrad": True})
    assert optimizer.param_groups[0]["lr"] == 0.4
    assert optimizer.rule_for(optimizer.param_groups[0]).name == "adam_amsgrad"
    with pytest.raises(ValueError, match="Adam has no setting momentum"):
        entry.turn(optimizer, {"momentum": 0.9})


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_factors(name):
    values = [schedule(name, 100)(t) for t in range(101)]
    assert max(values) == pytest.approx(1.0, abs=0.03)
    assert all(0 <= v <= 1 + 1e-12 for v in values)
    assert name in ("constant", "restarts") or values[99] < 0.5


# Rules from text ----------------------------------------------------------------------------------

MINE = """
k = 0.25

def mine(p, g, m, lr, k):
    m = m + k * (g - m)
    return p - lr * copysign(sqrt(abs(m)), m), m
"""
BAD = {
    "def f(p, g:": r"line 1: '\(' was never closed",
    "x = 1": "there is no rule: define a function",
    "": "there is no rule",
    "def f(p, g):\n    return p\n\nwhile True:\n    pass": "line 4: .* of the kind while",
    "import os\ndef f(p, g): return p": "line 1: .* not 'os'",
    "from ..x import y\ndef f(p, g): return p": "not 'x'",
    "def f(p, g, lr): return p - lr * foo(g)": "foo is not known",
    "def f(p, g, lr): return p - lr * open": "open",
    "def f(p, g): return p, g, 3": "returns 3 values",
    "def f(p, g, lr):\n    for i in (1, 2): p = p\n    return p": "For is not supported",
    "k = 1 / 0\ndef f(p, g): return p": "ZeroDivisionError: division by zero",
    "def f(p, g): return p\0": "null",
    "k = exit()\ndef f(p, g): return p": "SystemExit",
    "def f(p, g): return " + "+".join(["p"] * 5000): "recursion",
}


def test_a_rule_from_text():
    typed = rule_from_text(MINE)
    assert typed.numbers == {"k": 0.25}
    assert typed.rule(1.0, 4.0, 0.0, 0.1, 0.25) == (pytest.approx(0.9), 1.0)
    entry = typed_entry(typed, CONTESTANTS["Adam"])
    assert entry.name == "your mine"
    assert {k.name: k.start for k in entry.knobs} == {"lr": 0.02, "k": 0.25}
    assert "k" in entry.note


def test_numbers_that_no_slider_holds_are_no_starts():
    text = "a = 1e999\nb = 10**400\nc = 2\ndef f(p, g, c):\n    return p - c * g"
    assert rule_from_text(text).numbers == {"c": 2.0}


def test_a_typed_rule_that_draws_takes_part():
    text = "from tinygrad_opt.kernels.draws import Normal\n"
    text += "def noisy(p, g, lr, z: Normal):\n    return p - lr * g + 0.1 * z"
    noisy, ends = typed_entry(rule_from_text(text), CONTESTANTS["SGD"]), []
    for _ in range(2):
        race = Race(Descent("bowl"), (Choice(CONTESTANTS["SGD"]), Choice(noisy)))
        race.advance()
        assert [r.stopped for r in race.racers] == ["", ""]
        ends.append([np.stack(racer.path.columns(3)).tolist() for racer in race.racers])
    assert ends[0] == ends[1]
    assert ends[0][0] != ends[0][1]


@pytest.mark.parametrize("text", BAD, ids=[f"bad{i}" for i in range(len(BAD))])
def test_text_that_is_no_rule(text):
    with pytest.raises(ValueError, match=BAD[text]):
        rule_from_text(text)


SEVERAL = {
    "RAdam", "LAMB", "LARS", "Adafactor", "SOAP", "Prodigy", "SGDScheduleFree", "AdamWScheduleFree",
}  # fmt: skip


def typed_again(name):
    base = CONTESTANTS[name]
    return typed_entry(rule_from_text(text_of_rule(base.rule(base.starts()))), base)


def test_the_packages_own_rules_can_be_typed():
    """With all that goes with them, or with a note."""
    for name in sorted(set(CONTESTANTS) - {"LBFGS"}):
        note = typed_again(name).note
        assert ("does more in a step than launch one rule" in note) == (name in SEVERAL), name
        assert bool(note) == (name in SEVERAL), name


@pytest.mark.parametrize("name", ["SGD", "NAdam", "Rprop", "Adan", "textbook Adam"])
def test_a_typed_rule_goes_the_way_of_the_packages_own(name):
    """Its coefficients, scalar states and first states are those of the class it stands in for."""
    racers = [
        Racer(Descent("Beale"), Choice(e), 100) for e in (CONTESTANTS[name], typed_again(name))
    ]
    for racer in racers:
        for _ in range(5):
            racer.advance()
    assert racers[0].path.rows == racers[1].path.rows
    assert len(racers[0].path.rows) == 6


# Races --------------------------------------------------------------------------------------------


def test_a_race():
    race = Race(Classification(layers=1, width=8, count=60), (Choice(), Choice(CONTESTANTS["SGD"])))
    for _ in range(40):
        race.advance()
    for racer in race.racers:
        steps, losses, norms, rates = racer.history.columns(4)
        assert steps.tolist() == list(range(40))
        assert losses[-1] < losses[0]
        assert (norms > 0).all()
        assert rates[0] == racer.values["lr"]
        assert racer.field().shape == (96, 96)
        assert racer.accuracy() > 0.6
    # the gradient at the start is the same for both, and that of the loss
    assert race.racers[0].history.rows[0][1:3] == race.racers[1].history.rows[0][1:3]


def test_knobs_and_schedules_act_in_mid_training():
    racer = Racer(Descent("bowl"), Choice(CONTESTANTS["SGD"], {"momentum": 0.0}, "linear"), 10)
    for _ in range(5):
        racer.advance()
    racer.turn({"lr": 0.01, "momentum": 0.5})
    racer.advance()
    racer.schedule("constant", 10)
    racer.advance()
    assert racer.history.columns(4)[3].tolist() == pytest.approx(
        [0.002, 0.0018, 0.0016, 0.0014, 0.0012, 0.005, 0.01]
    )
    with pytest.raises(ValueError, match="Nesterov momentum requires"):
        racer.turn({"nesterov": True, "dampening": 0.5})
    assert racer.values["nesterov"] is False
    assert racer.optimizer.param_groups[0]["dampening"] == 0


def test_numbers_that_are_not_finite_stop_one_racer():
    bad = typed_entry(rule_from_text("def f(p, g, lr):\n    return p / 0.0"), CONTESTANTS["SGD"])
    race = Race(Descent("bowl"), (Choice(), Choice(bad)))
    for _ in range(3):
        race.advance()
    good, bad = race.racers
    assert (good.step, good.stopped, bad.step) == (3, "", 1)
    assert "at step 1 numbers were no longer finite" in bad.stopped
    assert not race.over


def test_history_stays_short():
    history = History()
    for step in range(5 * LONGEST):
        history.add(step, 1.0)
    steps = history.columns(2)[0]
    assert len(steps) <= LONGEST
    assert set(np.diff(steps)) == {8.0}


def test_a_compiled_race_takes_the_same_way():
    task = Classification(layers=1, width=4, count=20)
    choices = (Choice(), Choice(CONTESTANTS["LBFGS"]))
    races = [Race(task, choices, compile_it=compile_it) for compile_it in (False, True)]
    for race in races:
        for _ in range(4):
            race.advance()
    eager, compiled = (race.racers[0].history.columns(4)[1] for race in races)
    assert compiled == pytest.approx(eager, rel=1e-5)
    assert "adam(0, " in races[1].racers[0].compiled_text()
    assert "evaluates the model several times" in races[1].racers[1].compiled_text()
    assert races[0].racers[0].compiled_text() == ""
    assert races[1].racers[0].stopped == ""


# A session ----------------------------------------------------------------------------------------


@pytest.fixture
def session():
    made = Session(Descent("bowl"), length=200, speed=2000)
    yield made
    made.close()
    made._thread.join(10)
    assert not made._thread.is_alive()


def until(session, done):
    end = time.monotonic() + 30
    while not done(session.snapshot):
        assert time.monotonic() < end, session.snapshot
        time.sleep(0.01)
    return session.snapshot


def test_a_session_races_on_its_own_thread(session):
    assert "playground" in {thread.name for thread in threading.enumerate()}
    session.run()
    shot = until(session, lambda s: s.step == 200 and not s.running)
    assert shot.sides[0].losses[-1] < shot.sides[0].losses[0]
    assert shot.sides[0].path.shape == (201, 2)
    assert "def sgd_momentum_serial" in shot.sides[0].kernels["serial"]
    assert shot.sides[1].python == text_of_rule(adam)
    session.run()  # again, from the start
    assert until(session, lambda s: s.made == shot.made + 1).step < 200


def test_orders_of_a_session(session):
    session.step(3)
    session.turn(0, lr=0.001)
    assert session.wait().step == 3
    assert session.snapshot.sides[0].values["lr"] == 0.001
    session.choose(0, "Lion")
    session.type_rule(1, MINE)
    session.set_schedule(1, "cosine")
    shot = session.wait()
    assert [side.choice.entry.name for side in shot.sides] == ["Lion", "your mine"]
    assert shot.sides[1].python == MINE
    assert shot.step == 0
    session.set_task(Classification(count=20, width=4))
    session.set_length(50)
    session.step()
    shot = session.wait()
    assert (shot.step, shot.length, shot.sides[1].field.shape) == (1, 50, (96, 96))
    assert shot.sides[1].choice.schedule == "cosine"
    assert shot.sides[0].values["lr"] == 0.003  # as points need it, not landscapes


@pytest.mark.parametrize(
    ("order", "who", "text"),
    [(lambda s: s.choose(1, "Adamm"), 1, "there is no optimizer 'Adamm'"),
     (lambda s: s.type_rule(0, "def f("), 0, "line 1: '\\(' was never closed"),
     (lambda s: s.turn(0, beta7=1.0), 0, "SGD has no setting beta7"),
     (lambda s: s.turn(0, lr=-1.0), 0, "learning rate"),
     (lambda s: s.set_schedule(1, "spiral"), 1, "schedule must be one of"),
     (lambda s: s.set_length(0), None, "at least 1 step"),
     (lambda s: s.set_task(Descent("Etna")), None, "landscape must be one of Rosenbrock"),
     (lambda s: s.set_task(Classification("sun")), None, "data set must be one of moons"),
     (lambda s: s.set_task(Classification(activation="step")), None, "activation must be"),
     (lambda s: s.set_task(Classification(width=0)), None, "width >= 1"),
     (lambda s: s.set_task(Classification(count=1)), None, "at least 2 points")],
    ids=lambda v: v if isinstance(v, str) else "",
)  # fmt: skip
def test_orders_that_make_no_sense_change_nothing(session, order, who, text):
    before = session.wait()
    order(session)
    after = session.wait()
    errors = [after.sides[0].error, after.sides[1].error, after.error]
    at = 2 if who is None else who
    assert re.search(text, errors[at]), errors
    assert [e for i, e in enumerate(errors) if i != at] == ["", ""]
    assert after.task == before.task
    assert [s.choice for s in after.sides] == [s.choice for s in before.sides]
    session.step()  # it goes on
    assert session.wait().step == before.step + 1


# The command --------------------------------------------------------------------------------------


def test_without_panel_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "panel", None)
    with pytest.raises(SystemExit) as left:
        main(["playground", "--no-browser"])
    assert left.value.code == 2
    assert "pip install 'tinygrad_opt[playground]'" in capsys.readouterr().err


def test_a_port_that_is_taken(monkeypatch, capsys):
    fake = types.ModuleType("panel")
    monkeypatch.setitem(sys.modules, "panel", fake)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SystemExit):
            main(["playground", "--port", str(port)])
    assert f"port {port} is taken" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_ports_are_checked(port, capsys):
    with pytest.raises(SystemExit):
        main(["playground", "--port", port])
    assert "--port" in capsys.readouterr().err


def test_the_package_does_without_the_extra():
    """Nor does it load the playground before somebody asks for it."""
    hidden = "import sys; sys.modules.update(panel=None, bokeh=None)\n"
    code = hidden + (
        "import tinygrad_opt\n"
        "print('tinygrad_opt.playground' in sys.modules)\n"
        "import tinygrad_opt.playground.page, tinygrad_opt.commands\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
