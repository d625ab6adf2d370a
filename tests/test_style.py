"""The source is linted, formatted and type-checked as the configuration in pyproject.toml says."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def check(*command, cwd=ROOT):
    """Run a module of this Python; fail with what it printed unless it is content."""
    command = [sys.executable, "-m", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_ruff_finds_nothing():
    check("ruff", "check", ".")


def test_files_are_formatted():
    check("ruff", "format", "--check", ".")


def test_types_hold(tmp_path):
    # mypy knows packages by their folders only: show it kernels/ where it is installed.
    package = tmp_path / "tinygrad_opt"
    package.mkdir()
    (package / "kernels").symlink_to(ROOT / "kernels")
    for path in (ROOT / "tinygrad_opt").iterdir():
        (package / path.name).symlink_to(path)
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'installed'}"
    check(
        "mypy",
        cache,
        f"--config-file={ROOT / 'pyproject.toml'}",
        "-p",
        "tinygrad_opt",
        cwd=tmp_path,
    )
