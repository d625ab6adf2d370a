"""The source is linted and formatted as the configuration in pyproject.toml says."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def check(*command):
    """Run a module of this Python; fail with what it printed unless it is content."""
    command = [sys.executable, "-m", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_ruff_finds_nothing():
    check("ruff", "check", ".")


def test_files_are_formatted():
    check("ruff", "format", "--check", ".")
