"""Generated kernels on disk: found by a second process, never stale, never in the way."""

import gc
import importlib.util
import linecache
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from tinygrad_opt.kernels import update_rule
from tinygrad_opt.kernels.compiler import cache, files
from tinygrad_opt.kernels.compiler.cache import folder

PROGRAM = """
import os
import numpy as np
from tinygrad_opt.kernels import sgd
for folder in {folders}:
    os.environ["TINYGRAD_OPT_CACHE_DIR"] = folder
    sgd._kernels["{target}"].clear()
    p = np.ones({size}, np.float32)
    sgd.launch((p, p.copy()), (1.0, 0.0, 0.25))
    assert (p == 0.75).all()
    stats = sgd._kernels["{target}"][p.dtype].stats
    print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""
FOUND, COMPILED = ("1", "0"), ("0", "1")


def run(code, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **{k: str(v) for k, v in environment.items()}},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def a_step_with(*folders, target="serial", size=10, **environment):
    """What becomes of the kernel in a fresh process that looks for it in each folder in turn."""
    code = PROGRAM.format(folders=[str(folder) for folder in folders], target=target, size=size)
    printed = run(code, **environment)
    return list(zip(printed[::2], printed[1::2], strict=True))


def make_rule():
    @update_rule
    def rule(p, g, lr):
        return p - lr * g

    return rule


def step(rule):
    p = np.ones(3, np.float32)
    rule.launch((p, p.copy()), (0.25,))
    assert p.tolist() == [0.75] * 3


@pytest.mark.thorough
@pytest.mark.parametrize(("target", "size"), [("serial", 10), ("parallel", 1_000_000)])
def test_second_process_finds_the_machine_code(target, size, tmp_path):
    own, settings = tmp_path / "own", dict(target=target, size=size, NUMBA_NUM_THREADS=2)
    assert a_step_with(own, **settings) == [COMPILED]
    assert a_step_with(own, **settings) == [FOUND]
    assert own.stat().st_mode & 0o777 == 0o700


@pytest.mark.thorough
def test_several_processes_at_once(tmp_path):
    threads = [threading.Thread(target=a_step_with, args=(tmp_path,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.glob("sgd_serial_*.py"))) == 1
    assert not list(tmp_path.glob("*.tmp"))
    assert a_step_with(tmp_path) == [FOUND]


def test_nothing_is_compiled_by_importing_or_decorating(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path / "own"))
    run("import tinygrad_opt.kernels", TINYGRAD_OPT_CACHE_DIR=tmp_path / "own")
    make_rule()
    assert not (tmp_path / "own").exists()


def test_folder(monkeypatch):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    assert folder() == Path("/a")
    monkeypatch.delenv("TINYGRAD_OPT_CACHE_DIR")
    assert folder() == Path("/b/tinygrad_opt")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/c")
    assert folder() == Path("/c/.cache/tinygrad_opt")


def test_folder_of_a_user_without_a_home(monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME", "TINYGRAD_OPT_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert folder() == Path(tempfile.gettempdir()) / f"tinygrad_opt-{os.getuid()}"


def test_unusable_folder_means_memory_and_one_warning(monkeypatch):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", "/dev/null/kernels")
    with pytest.warns(RuntimeWarning, match="compiled anew in every process, the cache folder /d"):
        step(make_rule())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(make_rule())


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners here")
def test_folder_of_others_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path))
    tmp_path.chmod(0o770)
    with pytest.warns(RuntimeWarning, match="can be written to by others; chmod 700"):
        step(make_rule())
    tmp_path.chmod(0o700)
    monkeypatch.setattr(cache, "_warned", False)
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.warns(RuntimeWarning, match="belongs to another user"):
        step(make_rule())
    assert not list(tmp_path.iterdir())


DAMAGES = {
    "empty": lambda data: b"",
    "cut off": lambda data: data[: len(data) // 2],
    "overwritten": lambda data: b"damaged " * 100,
    "one byte": lambda data: data[:-50] + bytes([data[-50] ^ 1]) + data[-49:],
}


# Which files are damaged, and how.
DAMAGED = [
    ("*.nbc", "cut off"), ("*.nbc", "one byte"), ("*.nbi", "empty"), ("*.nbi", "overwritten"),
    ("*.sums", "empty"), ("*.sums", "overwritten"),
    ("*.*", "empty"), ("*.*", "cut off"), ("*.*", "overwritten"),
]  # fmt: skip


def damaged_copies(made, tmp_path, rows):
    """A copy of the folder for each row, with the files of that pattern damaged."""
    for i, (pattern, damage) in enumerate(rows):
        shutil.copytree(made, tmp_path / str(i))
        paths = list((tmp_path / str(i)).rglob(pattern))
        assert len(paths) > 3 if pattern == "*.*" else len(paths) == 1
        for path in paths:
            path.write_bytes(DAMAGES[damage](path.read_bytes()))
        yield tmp_path / str(i)


def test_what_is_damaged_is_replaced(tmp_path):
    made = tmp_path / "made"
    assert a_step_with(made) == [COMPILED]
    assert [len(list(made.rglob(f"*.{kind}"))) for kind in ("py", "sums", "nbi", "nbc")] == [1] * 4
    folders = list(damaged_copies(made, tmp_path, DAMAGED))
    (text,) = made.rglob("*.py")
    own = Path(importlib.util.cache_from_source(str(text))).name
    bytecodes = [(own, "empty"), (own, "overwritten")] if list(made.rglob(own)) else []
    others = list(
        damaged_copies(made, tmp_path / "bytecode", bytecodes)
    )  # the machine code is good
    found = a_step_with(made, *folders, *others)
    rows = dict(zip(DAMAGED, found[1:], strict=False))
    assert (found[0], rows) == (FOUND, dict.fromkeys(DAMAGED, COMPILED))
    made.rename(tmp_path / "elsewhere")  # a folder may move
    assert set(a_step_with(tmp_path / "elsewhere", *folders, *others)) == {FOUND}


def test_numbas_own_folder(tmp_path):
    own, env = tmp_path / "own", {"NUMBA_CACHE_DIR": tmp_path / "numba"}
    assert a_step_with(own, **env) == [COMPILED]
    assert a_step_with(own, **env) == [FOUND]
    (machine_code,) = (tmp_path / "numba").rglob("*.nbc")
    machine_code.write_bytes(b"")
    assert a_step_with(own, own, **env) == [COMPILED, FOUND]


def test_what_cannot_be_noted_is_loaded(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(files, "_note", refuse)
    step(make_rule())  # without a warning, which would be an error
    assert not list(tmp_path.glob("*.sums"))


def test_notes_follow_what_another_process_writes_meanwhile(tmp_path, monkeypatch):
    notes, code = tmp_path / "f.sums", tmp_path / f"f.f-1.{files._PYTHON}.1.nbc"
    code.write_bytes(b"ours")
    plain = files.write

    def write(path, data):
        plain(path, data)
        if code.read_bytes() == b"ours":
            code.write_bytes(b"theirs")

    monkeypatch.setattr(files, "write", write)
    files._note(tmp_path / "f.py", notes)
    assert files._as_noted(notes)
    assert files._digest(code) in notes.read_text()


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: b"\xff\xfe\x00"])
def test_damaged_text_is_replaced(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path))
    step(make_rule())
    (path,) = tmp_path.glob("rule_serial_*.py")
    text = path.read_bytes()
    path.write_bytes(damage(text))
    step(make_rule())
    assert path.read_bytes() == text


def test_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.warns(RuntimeWarning, match="disk full"):
        step(make_rule())
    assert not list(tmp_path.iterdir())


def test_text_that_cannot_compile_raises_its_own_error(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path))
    with pytest.raises(ZeroDivisionError):  # and no warning, which would be an error
        cache.load("f", lambda on_disk: "f = 1 / 0\n")


def test_import_that_gives_no_loader(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.spec_from_file_location", lambda *_: None)
    with pytest.warns(RuntimeWarning, match=r"cannot import .*f_"):
        assert cache.load("f", lambda on_disk: "f = 1\n") == 1


def test_memory_kernels_have_source():
    kernel = cache.compile_text("f", "def f():\n    return 1\n")
    assert linecache.getlines(kernel.__code__.co_filename)[0] == "def f():\n"


def test_the_collector_waits_for_the_main_thread_and_stays_as_the_program_left_it(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path))
    seen, loading, stopped = [], threading.Event(), threading.Event()

    def text(on_disk):
        seen.append(gc.isenabled())
        loading.set()
        assert stopped.wait(60)
        return "f = 1\n"

    other = threading.Thread(target=cache.load, args=("f", text))
    other.start()
    assert loading.wait(60)
    try:
        gc.disable()
        stopped.set()
        other.join()
        assert not gc.isenabled()
    finally:
        gc.enable()
    cache.load("f", text)
    assert (seen, gc.isenabled()) == ([True, False], True)


FORKED = """
import gc, os, threading, warnings
from tinygrad_opt.kernels.compiler import cache, files
warnings.simplefilter("ignore")  # Python's about a fork beside threads
loading, forked = threading.Event(), threading.Event()

def text(on_disk):
    loading.set()
    forked.wait(60)
    return "f = 1\\n"

def fork():
    loading.wait(60)
    child = os.fork()
    if child == 0:
        os._exit(10 * cache.is_busy() + gc.isenabled())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    forked.set()

thread = threading.Thread(target=fork)
thread.start()
cache.load("f", text)
thread.join()
print(gc.isenabled())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_process_that_is_forked_while_a_kernel_is_loaded_waits_for_none(tmp_path):
    assert run(FORKED, TINYGRAD_OPT_CACHE_DIR=tmp_path) == ["1", "True"]
