"""A layer that is made has the loops begun that it is going to run."""

import pytest

from tinygrad_opt import float16, float64, nn
from tinygrad_opt.kernels import micro
from tinygrad_opt.kernels.micro import machine
from tinygrad_opt.kernels.pool import ahead

LAYERS = [
    (lambda: nn.Linear(100, 100), ["product"]),
    (lambda: nn.Linear(4, 100), []),  # NumPy's products are as quick
    (lambda: nn.Linear(100, 100, dtype=float16), []),
    (lambda: nn.Conv2d(3, 8, 3), ["positions"]),
    (lambda: nn.Conv1d(32, 8, 3, dtype=float64), ["panels", "channels"]),
    (lambda: nn.ConvTranspose2d(8, 32, 3), ["panels", "channels"]),
]


@pytest.mark.parametrize(("layer", "loops"), LAYERS)
def test_what_a_layer_is_going_to_need(monkeypatch, layer, loops):
    if micro.registers().width < 64:
        loops = [name for name in loops if name != "product"]
    asked = []
    monkeypatch.setattr(machine, "_bound", {})
    monkeypatch.setattr(ahead, "soon", lambda make, key: asked.append((make, key.name)))
    layer()
    assert asked == [(machine._loaded, name) for name in loops]
