"""Killing a training run at any moment and resuming it ends in the bits of a run never stopped.

Takes about a minute, and is not part of the usual suite: `make test-interruption`.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tinygrad_opt as tg
from tinygrad_opt.checkpoints import Checkpoints

SCRIPT = Path(__file__).with_name("training.py")
KILLS = 25  # of each of the two runs
STEPS = 16  # at most, of one life: KILLS * STEPS < all steps


class Chain:
    """One training run, in as many processes as it takes."""

    def __init__(self, folder, workers):
        self.folder, self.workers = folder, workers
        self.random = random.Random(workers)
        self.reached = 0  # the last step that a process said was stored
        self.startup = 0.0  # seconds from the start of a process to its first line
        self.kills = self.temporary_files = 0

    def start(self):
        return subprocess.Popen(
            [sys.executable, "-u", SCRIPT, self.folder, str(self.workers)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def unbroken(self):
        """The checksum at the end, by one process."""
        output, _ = self.start().communicate(timeout=300)
        return output.splitlines()[-1]

    def broken(self):
        """The checksum at the end, after KILLS kills."""
        for number in range(KILLS):
            self.live_and_die(("soon", "early", "writing", "soon", "writing")[number % 5])
        return self.unbroken()

    def live_and_die(self, moment):
        start = time.monotonic()
        process = self.start()
        if moment == "early":  # while importing, restoring, or in the first step
            time.sleep(self.random.uniform(0, self.startup))
        else:
            process.stdout.readline()
            self.startup = time.monotonic() - start
            for _ in range(self.random.randrange(STEPS)):
                process.stdout.readline()
            self.wait_for(moment)
        assert process.poll() is None, "it died of itself"
        process.kill()
        lines, _ = process.communicate()
        assert "done" not in lines
        self.kills += 1
        self.temporary_files += bool(list(self.folder.glob(".step-*.tmp")))
        self.check_newest()

    def wait_for(self, moment):
        if moment == "soon":
            time.sleep(self.random.uniform(0, 0.02))  # about a step
        limit = time.monotonic() + 30
        while moment == "writing" and time.monotonic() < limit:
            if any(name.endswith(".tmp") for name in os.listdir(self.folder)):
                return

    def check_newest(self):
        """The newest file is whole, and nothing that was reported as stored is lost."""
        steps = Checkpoints(self.folder).steps()
        if steps:
            path = self.folder / f"step-{steps[-1]:09d}.safetensors"
            assert tg.load(path)["values"]["step"] == steps[-1]
            assert steps[-1] >= self.reached
            self.reached = steps[-1]


def test_fifty_kills(tmp_path):
    def one(workers):
        expected = Chain(tmp_path / f"whole-{workers}", workers).unbroken()
        chain = Chain(tmp_path / f"broken-{workers}", workers)
        chain.folder.mkdir()
        assert chain.broken() == expected
        assert expected.startswith("done")
        return chain

    with ThreadPoolExecutor(2) as both:
        chains = list(both.map(one, (0, 2)))
    assert sum(chain.kills for chain in chains) == 50
    assert sum(chain.temporary_files for chain in chains) >= 10, "too few were killed in writing"


class Part:
    """Something of some size with a state."""

    def __init__(self, value):
        self.value = value

    def state_dict(self):
        return {"value": tg.full((5000,), self.value)}

    def load_state_dict(self, state):
        self.value = state["value"][0].item()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("written", [0, 1, 8, 1000, 20_000])
def test_death_after_any_number_of_bytes(written, tmp_path):
    checkpoints = Checkpoints(tmp_path, part=Part(1.0))
    checkpoints.save(1)
    child = os.fork()
    if not child:  # the system kills it when the file grows beyond the limit
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
        Checkpoints(tmp_path, part=Part(2.0)).save(2)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGXFSZ
    (left,) = tmp_path.glob(".step-*.tmp")
    assert left.stat().st_size == written
    part = Part(0.0)
    resumed = Checkpoints(tmp_path, part=part)
    assert resumed.steps() == [1]
    assert resumed.restore() == {"step": 1}
    assert part.value == 1.0
    resumed.save(2)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "step-000000001.safetensors", "step-000000002.safetensors",
    ]  # fmt: skip
