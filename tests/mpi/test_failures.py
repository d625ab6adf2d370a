"""What happens when a rank fails: the others are told which and why, and nothing hangs."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest

pytest.importorskip("mpi4py", reason="needs mpi4py, which make test-mpi installs")

import launching

import tinygrad_opt as tg
from tinygrad_opt.checkpoints import Checkpoints

if launching.mpiexec() is None:
    pytest.skip("needs mpiexec: pip install mpich", allow_module_level=True)

WAYS = {
    "killed": r"rank 1 \(.*, process \d+\) died: its process was killed",
    "raises": r"rank 1 \(.*, process \d+\) stopped: KeyError: 'no such thing'",
    "ends": r"rank 1 has ended its program, while rank [02] waits in call 3, all_reduce of 5000",
    "another call": r"rank 1 waits in call 3, barrier",
    "another size": r"rank 1 waits in call 3, all_reduce of 7 float32",
    "slow": r"has waited for all_reduce of 5000 float32 for 3 s",
}


@pytest.mark.parametrize("how", WAYS)
def test_the_others_stop_and_say_why(how):
    status, output, seconds = launching.run(3, "failing.py", how)
    assert re.search(WAYS[how], output), output
    assert status != 0
    assert "has gone on" not in output
    assert seconds < 20


def test_killed_at_random_moments(tmp_path):
    """Kills one rank after the other; runs with other numbers of processes go on to the end."""
    steps, chance, stored = 30, random.Random(3), 0
    for turn, processes in enumerate((2, 4, 3, 2)):
        process = launching.start(processes, "training.py", tmp_path, steps)
        ranks, text = {}, ""
        while len(ranks) < processes:
            line = process.stdout.readline()
            assert line, text
            text += line
            ranks = dict(re.findall(r"rank (\d+) is process (\d+)\n", text))
        for _ in range(chance.randrange(1, 6)):
            process.stdout.readline()
        time.sleep(chance.uniform(0, 0.03))
        victim = turn % processes
        number = ranks[str(victim)]
        assert b"training.py" in Path(f"/proc/{number}/cmdline").read_bytes()  # and no other's
        os.kill(int(number), signal.SIGKILL)
        begin = time.monotonic()
        output, _ = process.communicate(timeout=60)
        assert time.monotonic() - begin < 10
        assert process.returncode != 0
        assert f"rank {victim} (" in output, output
        assert "died: its process was killed" in output
        assert "\ndone " not in output
        newest = Checkpoints(tmp_path).steps()[-1:]
        if newest:  # it is whole, and nothing stored before is lost
            path = tmp_path / f"step-{newest[0]:09d}.safetensors"
            assert tg.load(path)["values"]["step"] == newest[0] >= stored
            stored = newest[0]
    assert 0 < stored < steps
    status, broken, _ = launching.run(4, "training.py", tmp_path, steps)
    assert status == 0, broken
    _, whole, _ = launching.run(2, "training.py", tmp_path / "whole", steps)
    ends = [float(re.search(r"done \w+ ([\d.]+)", out)[1]) for out in (broken, whole)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)


def test_the_same_bits_from_a_resumed_run(tmp_path):
    """As many processes go on bit for bit; one process reads the checkpoints of several."""
    for folder, stops in (("whole", [12]), ("parts", [5, 12])):
        for steps in stops:
            status, output, _ = launching.run(2, "training.py", tmp_path / folder, steps)
            assert status == 0, output
        (tmp_path / folder / "end").write_text(re.search(r"done (\w+)", output)[1])
    assert (tmp_path / "whole/end").read_text() == (tmp_path / "parts/end").read_text()
    status, alone, _ = launching.run(1, "training.py", tmp_path / "parts", 20)
    assert status == 0, alone
    assert "done" in alone
