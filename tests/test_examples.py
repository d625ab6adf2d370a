"""The examples run as their readers would run them, only shorter."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

# Example: where its quality stands in what it prints, and between which bounds it must lie.
LESSONS = {
    "two_moons": (r"accuracy ([\d.]+)%", 95, 100),
    "race": (r"saddle: (\d+) of 26 arrived", 8, 26),
    "textbook_forms": (r"textbook, ten times the lr .* after 40 steps ([\d.]+)", 0.3, 0.4),
    "schedules": (r"OneCycleLR +last losses ([\d.]+)", 0.5, 1.4),
    "regression": (r"mean error ([\d.]+) ppm", 0, 1.5),
    "gradient_penalty": (r"penalty 0.03: .* loss ([\d.]+)", 0.2, 0.45),
    "own_optimizer": (r"largest difference after 20 steps: ([\d.e+-]+)", 0, 1e-6),
    "random_rules": (r"rounded at random: off by ([\d.]+)", 0, 1e-3),
    "own_op": (r"-2 tanh x .* largest error ([\d.e+-]+)", 0, 1e-12),
    "digits_cnn": (r"held-out accuracy ([\d.]+)%", 95, 100),
    "mnist": (r"8 x 8, accuracy ([\d.]+)%", 93, 100),
    "char_gpt": (r"held-out loss ([\d.]+) nats", 2, 3.2),
    "text_classifier": (r"accuracy ([\d.]+)%", 75, 100),
    "vae": (r"held-out loss ([\d.]+) nats", 20, 27),
    "finetune": (r"fine-tuned ([\d.]+)%", 65, 100),
    "gpu": (r"held-out accuracy ([\d.]+)%", 90, 100),
}


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
    assert "training, epoch 15/15: loss=" in done.stderr  # no terminal, no bar


def test_digits_fails_when_it_reads_badly(tmp_path):
    done = digits("--epochs", "1", "--out", str(tmp_path / "digits.png"))
    assert done.returncode == 1
    assert "below the 97%" in done.stderr


def test_digits_refuses_zero_epochs():
    done = digits("--epochs", "0")
    assert done.returncode == 2
    assert "--epochs must be at least 1, got 0" in done.stderr


PROGRESS = re.compile(r"[\w .]+(, \w+)? \d+/\d+(: \S.*)? \[\d+ s\]")


@pytest.mark.thorough
@pytest.mark.parametrize("name", LESSONS)
def test_lesson(name, tmp_path):
    pattern, low, high = LESSONS[name]
    picture = tmp_path / "picture.png"
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    command += ["--quick", "--out", str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert low <= float(re.search(pattern, done.stdout)[1]) <= high, done.stdout
    if name == "gpu" and "no GPU here" in done.stdout:
        assert not picture.exists()
    else:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size > 5_000
    lines = done.stderr.splitlines()  # where there is no terminal, how it goes is told in lines
    assert bool(lines) == ("progress(" in (EXAMPLES / f"{name}.py").read_text())
    assert [line for line in lines if not PROGRESS.fullmatch(line)] == []
    if name == "race":
        assert picture.with_suffix(".gif").read_bytes().startswith(b"GIF89a")
        assert picture.with_stem("picture_beale").exists()


def test_mnist_asks_for_its_files(tmp_path):
    command = [sys.executable, str(EXAMPLES / "mnist.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "--data FOLDER is needed" in done.stderr


def test_every_example_is_listed_and_every_listed_picture_is_there():
    page = (EXAMPLES / "README.md").read_text()
    listed = re.findall(r"\]\((\S+)\)", page) + re.findall(r'src(?:set)?="([^"]+)"', page)
    assert {path.name for path in EXAMPLES.glob("*.py")} <= set(listed)
    assert [link for link in listed if not (EXAMPLES / link).exists()] == []
