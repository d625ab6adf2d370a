"""Importing the package: what it loads, what waits, and what it leaves as it was."""

import gc
import inspect
import subprocess
import sys
import threading

import pytest

import tinygrad_opt
from tinygrad_opt.core.declared import arguments_of, taking
from tinygrad_opt.core.public import named, public
from tinygrad_opt.core.tensor import Tensor

WAITING = (
    "compiled", "distributed", "func", "linalg", "nn", "onnx", "optim", "serialization", "training",
    "utils.data",
)  # fmt: skip


def printed(code):
    """What a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_rooms_wait_until_they_are_asked_for():
    found = printed(
        "import sys, gc, tinygrad_opt as tg\n"
        f"loaded = [n for n in {WAITING} if f'tinygrad_opt.{{n}}' in sys.modules]\n"
        "print(len(loaded), gc.isenabled(), gc.get_freeze_count())\n"
        "print(tg.utils.data.DataLoader.__name__, tg.summary.__name__, tg.save.__name__)\n"
        "from tinygrad_opt import *\n"
        "print(vmap.__name__, linalg.__name__, distributed.__name__, nn.__name__)\n"
        "import tinygrad_opt.distributed.distributed_c10d as c10d; print(c10d.ReduceOp.__name__)\n"
        "print(tg.distributed.distributed_c10d is c10d)"
    )
    assert found == [
        "0", "True", "0", "DataLoader", "summary", "save", "vmap", "tinygrad_opt.linalg",
        "tinygrad_opt.distributed", "tinygrad_opt.nn", "ReduceOp", "True",
    ]  # fmt: skip


def test_what_waits_is_listed_and_stays_the_same():
    waiting = tinygrad_opt._LATE
    assert set(waiting) <= set(dir(tinygrad_opt))
    for name in waiting:
        if name not in ("onnx", "testing"):
            assert getattr(tinygrad_opt, name) is getattr(tinygrad_opt, name)
    assert tinygrad_opt.load is tinygrad_opt.serialization.load


def test_loading_anew_leaves_all_names_where_they_were():
    found = printed(
        "import importlib, tinygrad_opt as tg\n"
        "importlib.reload(tg)\n"
        "print(tg.fft.__name__, hasattr(tg, 'nothing'), tg.ones(1).item())"
    )
    assert found == ["tinygrad_opt.fft", "False", "1.0"]


# What threads import that begin at once, each from another end.
AT_ONCE = (
    "import tinygrad_opt.nn.functional as F; F.relu",
    "import tinygrad_opt.nn.utils.prune",
    "import tinygrad_opt.optim.swa_utils; tinygrad_opt.optim.swa_utils.AveragedModel",
    "import tinygrad_opt.utils.data; tinygrad_opt.utils.data.Dataset",
    "import tinygrad_opt as t; t.nn.LSTM, t.conv2d, t.compile, t.save",
    "import tinygrad_opt as t; t.optim.AdamW, t.fft.fft, t.summary",
    "from tinygrad_opt import nn; nn.Linear",
    "from tinygrad_opt import distributions; distributions.Normal",
    "from tinygrad_opt.distributions.kl import kl_divergence",
    "from tinygrad_opt.func import vmap; vmap.__code__",
    "from tinygrad_opt.nn import *; Conv2d",
    "from tinygrad_opt.nn import init; init.zeros_",
    "from tinygrad_opt.nn.modules.utils import _pair",
    "from tinygrad_opt.nn.parallel.distributed import DistributedDataParallel",
    "from tinygrad_opt.nn.parameter import Parameter",
    "from tinygrad_opt.nn.utils.parametrizations import weight_norm",
    "from tinygrad_opt.optim import lr_scheduler; lr_scheduler.StepLR",
    "from tinygrad_opt.optim.adam import Adam",
    "from tinygrad_opt.optim.lr_scheduler import OneCycleLR",
    "from tinygrad_opt.optim.optimizer import Optimizer",
)  # fmt: skip


@pytest.mark.parametrize("first", range(0, 20, 5))
def test_threads_that_import_at_once_all_get_what_they_ask_for(first):
    """No _DeadlockError, and no module that is there by half."""
    found = printed(
        "import sys, threading, tinygrad_opt\n"
        "sys.setswitchinterval(1e-6)\n"
        f"imports = {AT_ONCE[first:] + AT_ONCE[:first]}\n"
        "ready, failed = threading.Barrier(len(imports)), []\n"
        "def run(text):\n"
        "    ready.wait()\n"
        "    try: exec(text, {})\n"
        "    except BaseException as error: failed.append(f'{text}: {error!r}')\n"
        "threads = [threading.Thread(target=run, args=(text,)) for text in imports]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(*failed)"
    )
    assert " ".join(found) == ""


def test_a_room_is_filled_when_it_is_first_asked_for_a_name():
    """Till then its files can be loaded, by any thread; whatever it is asked for, it is whole."""
    for ask in ("t.nn.Linear", "vars(t.nn)['Linear']", "t.nn.__doc__[0]", "dir(t.nn)[0]"):
        found = printed(
            "import sys, tinygrad_opt as t\n"
            "import tinygrad_opt.nn.parameter\n"
            "print('tinygrad_opt.nn.linear' in sys.modules)\n"
            f"{ask}\n"
            "print(type(t.nn).__name__, 'tinygrad_opt.nn.linear' in sys.modules)"
        )
        assert found == ["False", "module", "True"]


def test_what_is_set_or_deleted_on_a_room_counts():
    found = printed(
        "import tinygrad_opt as t, tinygrad_opt.nn, tinygrad_opt.distributions as d\n"
        "t.optim.Adam = 'mine'\n"
        "t.nn.new = 'mine'\n"
        "del d.Normal\n"
        "print(t.optim.Adam, t.nn.new, hasattr(t.nn, 'Linear'), hasattr(d, 'Normal'))"
    )
    assert found == ["mine", "mine", "True", "False"]


def test_a_room_that_cannot_be_filled_says_so_each_time():
    found = printed(
        "import sys, tinygrad_opt as t\n"
        "sys.modules['tinygrad_opt.optim.sgd'] = None\n"
        "for _ in range(2):\n"
        "    try: t.optim.SGD\n"
        "    except ImportError: print('refused')\n"
        "del sys.modules['tinygrad_opt.optim.sgd']\n"
        "print(t.optim.SGD.__name__)"
    )
    assert found == ["refused", "refused", "SGD"]


@pytest.mark.parametrize("collects", [True, False])
def test_collection_is_as_it_was_after_importing(collects):
    """Also where importing fails, in the middle."""
    fails = (
        "import gc, sys\n"
        f"gc.{'enable' if collects else 'disable'}()\n"
        "sys.modules['tinygrad_opt.porting.global_settings'] = None\n"
        "try: import tinygrad_opt\n"
        "except ImportError: pass\n"
        "print(gc.isenabled())\n"
        "del sys.modules['tinygrad_opt.porting.global_settings']\n"
        "import tinygrad_opt; print(gc.isenabled(), gc.get_freeze_count())"
    )
    assert printed(fails) == [str(collects), str(collects), "0"]


def test_frozen_objects_stay_frozen():
    from tinygrad_opt._pause import Pause

    gc.freeze()
    try:
        pause = Pause()
        assert not gc.isenabled()
        del pause
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


# Functions that are compiled when they are first called ------------------------------------------


def shape(a, /, b, c=3, *args, d, e=5, **more):
    """One of every kind."""


def test_taking_takes_what_a_function_takes():
    made = taking(arguments_of(shape), dict, "shape", {})
    assert str(inspect.signature(made)) == str(inspect.signature(shape))
    assert made(1, 2, d=4) == dict(a=1, b=2, c=3, args=(), d=4, e=5, more={})
    assert made(1, 2, 3, 4, 5, d=6, f=7) == dict(
        a=1, b=2, c=3, args=(4, 5), d=6, e=5, more={"f": 7}
    )
    with pytest.raises((OSError, TypeError)):  # it has no source of its own to show
        inspect.getsource(made)
    for call in (lambda: made(1), lambda: made(1, 2), lambda: made(a=1, b=2, d=3)):
        with pytest.raises(TypeError, match=r"shape\(\)"):
            call()


def double(input: "Tensor", dim: "int", keepdim: "bool" = False, *, times: "float" = 2.0):
    return input.sum(dim, keepdim) * times


CALLS = [
    ((0,), {}), ((0, True), {}), ((), dict(dim=1)), ((), dict(axis=1, keepdims=True)),
    ((-1,), dict(times=3.0)),
]  # fmt: skip


@pytest.mark.parametrize(("args", "words"), CALLS)
def test_first_call_is_as_the_second(args, words):
    x = tinygrad_opt.arange(6.0).reshape(2, 3)
    plain = {{"axis": "dim", "keepdims": "keepdim"}.get(k, k): v for k, v in words.items()}
    face = public(double, "double")
    before = face.__code__
    first, second = face(x, *args, **words), face(x, *args, **words)
    assert face.__code__ is not before
    assert first.tolist() == second.tolist() == double(x, *args, **plain).tolist()


@pytest.mark.parametrize("bad", [(1.0, 0), (None, 0), ()])
def test_first_refusal_is_as_the_second(bad):
    said = []
    face = public(double, "double")
    for _ in range(2):
        with pytest.raises(TypeError) as error:
            face(*bad)
        said.append(str(error.value))
    assert said[0] == said[1]


def test_a_copy_is_compiled_with_its_face():
    face = public(double, "double")
    copy = named(face, "twice")
    waiting = copy.__code__
    x = tinygrad_opt.ones(2)
    assert copy(x, 0).item() == 4.0
    assert copy.__code__ is not waiting
    assert face.__code__ is copy.__code__


def test_threads_that_call_at_once_all_get_answers():
    x, found = tinygrad_opt.ones(2, 2), []
    for _ in range(20):
        face, ready = public(double, "double"), threading.Barrier(4)

        def call(face=face, ready=ready):
            ready.wait()
            found.append(face(x, 0, keepdims=True).tolist())

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [[[4.0, 4.0]]] * 80
