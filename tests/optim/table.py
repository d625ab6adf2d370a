"""OPTIMIZERS: every public optimizer with the settings it is tested in, and its PyTorch twin.

Textbook forms have no twin; `tests/golden/make.py` spells their formulas out in plain Python.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tinygrad_opt import optim


class Row(NamedTuple):
    name: str
    settings: dict[str, Any]

    @property
    def label(self) -> str:
        flags = ",".join(f"{k}={v}" for k, v in self.settings.items())
        return f"{self.name}({flags})"

    @property
    def cls(self) -> Any:
        module, _, name = self.name.rpartition(".")
        return getattr(optim.textbook if module else optim, name)

    @property
    def twin(self) -> str | None:
        """The name in torch.optim, or None."""
        return None if "." in self.name else self.name


_SGD = [
    dict(lr=0.05),
    dict(lr=0.05, weight_decay=0.1),
    dict(lr=0.05, maximize=True),
    dict(lr=0.05, momentum=0.9),
    dict(lr=0.05, momentum=0.9, dampening=0.4),
    dict(lr=0.05, momentum=0.9, dampening=0.4, weight_decay=0.1),
    dict(lr=0.05, momentum=0.9, nesterov=True),
    dict(lr=0.02, momentum=0.5, nesterov=True, weight_decay=0.1, maximize=True),
]
_ADAM = [
    dict(lr=0.02),
    dict(lr=0.02, betas=(0.7, 0.95)),
    dict(lr=0.02, eps=1e-2),
    dict(lr=0.02, weight_decay=0.1),
    dict(lr=0.02, amsgrad=True),
    dict(lr=0.02, maximize=True),
    dict(lr=0.02, betas=(0.5, 0.9), weight_decay=0.2, amsgrad=True, maximize=True),
]
_RMSPROP = [
    dict(lr=0.02),
    dict(lr=0.02, alpha=0.8),
    dict(lr=0.02, eps=1e-2),
    dict(lr=0.02, weight_decay=0.1),
    dict(lr=0.02, maximize=True),
    dict(lr=0.015, momentum=0.8),
    dict(lr=0.015, centered=True, eps=1e-3),
    dict(lr=0.015, centered=True, momentum=0.7, weight_decay=0.1, eps=1e-3),
]

OPTIMIZERS = [
    *(Row("SGD", s) for s in _SGD),
    *(
        Row("Adam", s)
        for s in [*_ADAM, dict(lr=0.02, weight_decay=0.1, decoupled_weight_decay=True)]
    ),
    *(Row("AdamW", s) for s in _ADAM),
    *(Row("RMSprop", s) for s in _RMSPROP),
    Row("textbook.GradientDescent", dict(lr=0.05)),
    Row("textbook.Momentum", dict(lr=0.3, beta=0.8)),
    Row("textbook.RMSprop", dict(lr=0.02, beta=0.8, eps=1e-3)),
    Row("textbook.Adam", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3)),
]
LABELS = [row.label for row in OPTIMIZERS]
