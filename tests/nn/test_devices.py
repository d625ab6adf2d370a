"""Indices on another device than the values they choose from."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt.arrays.device import Device
from tinygrad_opt.core.tensor import wrap_plain
from tinygrad_opt.nn import errors


class Elsewhere(np.ndarray):
    """An array that stands for one on a GPU."""


@pytest.mark.parametrize(
    "call",
    [
        lambda index: F.cross_entropy(T.zeros(2, 3), index),
        lambda index: F.nll_loss(T.zeros(2, 3), index),
        lambda index: F.embedding(index, T.zeros(3, 2)),
    ],
)
def test_mixed_devices(monkeypatch, call):
    index = wrap_plain(np.zeros(2, np.int64).view(Elsewhere))
    call(index)  # only the kind of array differs

    def device_of(array):
        return Device("cuda:0" if isinstance(array, Elsewhere) else "cpu")

    monkeypatch.setattr(errors, "device_of", device_of)
    with pytest.raises(RuntimeError, match="same device, but found cpu and cuda:0"):
        call(index)
