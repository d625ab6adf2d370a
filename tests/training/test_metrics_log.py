"""The log of metrics: what comes back, also after a crash in the middle of a line."""

import json
import math
import struct
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt.training import MetricsLog


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "metrics.jsonl"


def steps(path):
    return [row["step"] for row in MetricsLog.read(path)]


def test_numbers_come_back(path):
    with MetricsLog(path) as log:
        log.write(1, loss=0.1, note="start", best=True, none=None, count=3)
        log.write(2, loss=tg.tensor(0.25), scale=np.float32(0.5), one=tg.ones(1, 1))
    first, second = MetricsLog.read(path)
    assert first.pop("time") <= second.pop("time")
    assert first == dict(step=1, loss=0.1, note="start", best=True, none=None, count=3)
    assert second == dict(step=2, loss=0.25, scale=0.5, one=1.0)


def test_numbers_that_json_lacks(path):
    with MetricsLog(path) as log:
        log.write(1, a=math.inf, b=-math.inf, c=math.nan)

    def refuse(constant):
        raise AssertionError(constant)

    json.loads(path.read_text(), parse_constant=refuse)  # so other readers can read it
    (row,) = MetricsLog.read(path)
    assert (row["a"], row["b"]) == (math.inf, -math.inf)
    assert math.isnan(row["c"])


def test_a_line_can_be_read_at_once(path):
    log = MetricsLog(path)
    log.write(1, loss=1.0)
    assert steps(path) == [1]
    log.close()
    log.close()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_crash_in_the_middle_of_a_line(cut, path):
    with MetricsLog(path) as log:
        for step in range(3):
            log.write(step, loss=0.5, text="ü")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    left = [0, 1, 2] if cut == 1 else [0, 1]  # only the end of the line is missing
    assert steps(path) == left
    with MetricsLog(path) as log:
        log.write(7, loss=0.5)
    assert steps(path) == [*left, 7]
    assert path.read_bytes().startswith(whole[: len(whole) * 2 // 3])


def test_a_killed_process_leaves_whole_lines(path):
    code = (
        "import os, sys; from tinygrad_opt.training import MetricsLog\n"
        "log = MetricsLog(sys.argv[1])\n"
        "for i in range(5): log.write(i, x=i)\n"
        "os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=False)
    assert steps(path) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("damage", [b"{nonsense\n", b"[1]\n", b"\xff\xfe\n"])
def test_other_damage_is_named(damage, path):
    with MetricsLog(path) as log:
        log.write(1)
    path.write_bytes(path.read_bytes() + damage + b'{"step": 2}\n')
    with pytest.raises(ValueError, match=r"line 2 of .*metrics.jsonl is damaged"):
        MetricsLog.read(path)


def test_an_empty_log(path):
    MetricsLog(path).close()
    assert MetricsLog.read(path) == []
    with pytest.raises(FileNotFoundError):
        MetricsLog.read(path.parent / "other")


def test_what_is_no_number(path):
    with MetricsLog(path) as log:
        with pytest.raises(TypeError, match=r"losses must be a number.*Tensor of shape \(2,\)"):
            log.write(1, fine=1.0, losses=tg.ones(2))
        log.write(2)
    assert steps(path) == [2]


def events(folder):
    """(step, name, value) of all scalars in TensorBoard's files."""
    from tensorboardX.proto.event_pb2 import Event

    for file in folder.iterdir():
        data = file.read_bytes()
        at = 0
        while at < len(data):  # length, its checksum, the event, its checksum
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            at += 16 + length
            for value in event.summary.value:
                yield event.step, value.tag, value.simple_value


def test_tensorboard_gets_the_numbers(path, tmp_path):
    pytest.importorskip("tensorboardX")
    with MetricsLog(path, tensorboard=tmp_path / "board") as log:
        log.write(1, loss=0.5, note="text stays out")
        log.write(2, loss=tg.tensor(0.25), lr=1)
    found = list(events(tmp_path / "board"))
    assert found == [(1, "loss", 0.5), (2, "loss", 0.25), (2, "lr", 1.0)]
    assert steps(path) == [1, 2]


def test_without_tensorboard(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'tinygrad_opt\[tensorboard\]'"):
        MetricsLog(path, tensorboard=path.parent)
    assert not path.exists()
