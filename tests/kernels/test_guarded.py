"""Nothing beside an array is touched by loops that check no index: see guarded.py."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("guarded.py")


def guarded(what, folder, monkeypatch):
    """The script in a process and a cache of its own: its kernels differ from everybody's."""
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(folder / "kernels"))
    return subprocess.run(
        [sys.executable, SCRIPT, what], capture_output=True, text=True, cwd=SCRIPT.parent
    )


pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="protects pages as Linux does"
)


@pytest.mark.thorough
def test_loops_stay_inside(tmp_path, monkeypatch):
    done = guarded("40", tmp_path, monkeypatch)
    assert done.stdout.endswith("to the end\n"), done.stderr


@pytest.mark.parametrize("what", ["array", "scratch"])
def test_a_step_outside_is_seen(what, tmp_path, monkeypatch):
    done = guarded(what, tmp_path, monkeypatch)
    assert done.stdout == "inside\n"
    assert done.returncode < 0
