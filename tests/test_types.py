"""Type checkers: the package is sound, and they see what is declared and not written out."""

import re
import subprocess
import sys
from pathlib import Path

from golden import stubs

ROOT = Path(__file__).parents[1]
USER = "tests/user_of_types.py"


def test_the_package_is_sound_and_its_user_is_told_of_faults():
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "tinygrad_opt", USER]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    told = dict(re.findall(rf"^{USER}:(\d+): error: (.*)$", "\n".join(errors), flags=re.M))
    assert [line for line in errors if not line.startswith(USER)] == []
    for number, line in enumerate((ROOT / USER).read_text().splitlines(), 1):
        _, _, wrong = line.partition("# wrong: ")
        assert wrong in told.pop(str(number), ""), line
    assert told == {}


def test_the_stub_of_schedulers_says_what_their_file_says():
    assert stubs.PATH.read_text() == stubs.stub(), "run make golden"
