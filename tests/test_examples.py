"""The examples run as their readers would run them, only shorter."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def digits(*arguments):
    """Run examples/digits.py with warnings as errors."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / "digits.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_digits_are_learned_and_drawn(tmp_path):
    picture = tmp_path / "digits.png"
    done = digits("--epochs", "15", "--out", str(picture))
    assert done.returncode == 0, done.stdout + done.stderr
    accuracy = float(re.search(r"held-out accuracy: ([\d.]+)%", done.stdout)[1])
    assert accuracy >= 97
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000
    assert "training" not in done.stderr  # the progress bar is for terminals


def test_digits_fails_when_it_reads_badly(tmp_path):
    done = digits("--epochs", "1", "--out", str(tmp_path / "digits.png"))
    assert done.returncode == 1
    assert "below the 97%" in done.stderr


def test_digits_refuses_zero_epochs():
    done = digits("--epochs", "0")
    assert done.returncode == 2
    assert "--epochs must be at least 1, got 0" in done.stderr
