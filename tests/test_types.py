"""Type checkers: the package is sound, and they see what is declared and not written out."""

import ast
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

from golden import public_stubs, stubs

import tinygrad_opt

ROOT = Path(__file__).parents[1]
USER, SCRIPT = "tests/user_of_types.py", "tests/user_script.py"


def test_the_package_is_sound_and_its_users_are_told_of_faults():
    """An ordinary script is sound by the strictest rules; PyTorch's types find a fault in it."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "tinygrad_opt", USER, SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    told = dict(re.findall(rf"^{USER}:(\d+): error: (.*)$", "\n".join(errors), flags=re.M))
    assert [line for line in errors if not line.startswith(USER)] == []
    for number, line in enumerate((ROOT / USER).read_text().splitlines(), 1):
        _, _, wrong = line.partition("# wrong: ")
        assert wrong in told.pop(str(number), ""), line
    assert told == {}


def test_the_rules_of_the_script_are_the_strictest():
    """In one run with the package, under `--strict` for the script alone: mypy keeps one result."""
    command = [sys.executable, "-m", "mypy", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    text = re.search(r"--strict  .*?flags:(.*?)\n  --", told, flags=re.S)[1]
    flags = re.sub(r"-\s+", "-", text).replace("--", "").replace("-", "_").split(",")
    strict = {
        flag.strip().removeprefix("no_"): not flag.strip().startswith("no_") for flag in flags
    }
    assert len(strict) > 9
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    own = {module: rows for rows in rules.pop("overrides") for module in rows.pop("module")}
    assert strict.items() <= (rules | own["user_script"]).items()
    assert own["tinygrad_opt.*"] == {"implicit_reexport": False}


def test_the_stub_of_schedulers_says_what_their_file_says():
    assert stubs.PATH.read_text() == stubs.stub(), "run make golden"


def test_the_stubs_of_what_is_bound_say_what_is_bound():
    # In a process of its own: here other tests have loaded more of the package.
    code = "import public_stubs as s; print(s.bound() + s.init(), end='')"
    golden = ROOT / "tests" / "golden"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(golden)])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    written = public_stubs.BOUND.read_text() + public_stubs.INIT.read_text()
    assert written == done.stdout, "run make golden"


def test_editors_see_every_method():
    stub = ast.parse(public_stubs.BOUND.read_text())
    (bound,) = (n for n in stub.body if isinstance(n, ast.ClassDef) and n.name == "Bound")
    told = {n.name for n in bound.body if isinstance(n, ast.FunctionDef)}
    public = {name for name in dir(tinygrad_opt.Tensor) if not name.startswith("_")}
    assert public - told - public_stubs.CORE - {"node", "version"} == set()


def test_the_script_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["script"])
    runpy.run_path(str(ROOT / SCRIPT), run_name="__main__")
