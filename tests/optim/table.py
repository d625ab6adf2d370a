"""OPTIMIZERS: every public optimizer with the settings it is tested in, and its PyTorch twin.

Those without a twin are spelled out in plain NumPy by `tests/golden/formulas.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tinygrad_opt import optim
from tinygrad_opt.porting import pytorch_names

_PEERS = pytorch_names.NAMES["optim"].split()
_BY_SIGN = {"Lion", "Rprop"}  # where rounding can turn a step around


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
        return self.name if self.name in _PEERS and "cautious" not in self.settings else None

    @property
    def exact_only(self) -> bool:
        """Whether float32 may go another way than float64: what is tested is float64."""
        return self.name in _BY_SIGN or "cautious" in self.settings


_ADAM = [
    dict(lr=0.02),
    dict(lr=0.02, betas=(0.7, 0.95)),
    dict(lr=0.02, eps=1e-2),
    dict(lr=0.02, weight_decay=0.1),
    dict(lr=0.02, amsgrad=True),
    dict(lr=0.02, maximize=True),
    dict(lr=0.02, betas=(0.5, 0.9), weight_decay=0.2, amsgrad=True, maximize=True),
    dict(lr=0.02, weight_decay=0.1, cautious=True),
]
_ADAMAX = [
    dict(lr=0.02),
    dict(lr=0.02, betas=(0.7, 0.95)),
    dict(lr=0.02, eps=1e-2),
    dict(lr=0.02, weight_decay=0.1),
    dict(lr=0.02, maximize=True),
    dict(lr=0.02, betas=(0.5, 0.9), weight_decay=0.2, maximize=True),
    dict(lr=0.02, cautious=True),
]
_RADAM = [
    *_ADAMAX,
    dict(lr=0.02, weight_decay=0.1, decoupled_weight_decay=True),
]
_AVERAGE = [
    dict(lr=0.05, weight_decay=0.1),
    dict(lr=0.05, warmup_steps=30),
    dict(lr=0.05, r=1.5),
    dict(lr=0.05, warmup_steps=30, weight_lr_power=1.0),
    dict(lr=0.05, maximize=True),
]

SETTINGS = {
    "SGD": [
        dict(lr=0.05),
        dict(lr=0.05, weight_decay=0.1),
        dict(lr=0.05, maximize=True),
        dict(lr=0.05, momentum=0.9),
        dict(lr=0.05, momentum=0.9, dampening=0.4),
        dict(lr=0.05, momentum=0.9, dampening=0.4, weight_decay=0.1),
        dict(lr=0.05, momentum=0.9, nesterov=True),
        dict(lr=0.02, momentum=0.5, nesterov=True, weight_decay=0.1, maximize=True),
        dict(lr=0.05, momentum=0.9, weight_decay=0.1, cautious=True),
    ],
    "Adam": [*_ADAM, dict(lr=0.02, weight_decay=0.1, decoupled_weight_decay=True)],
    "AdamW": _ADAM,
    "RMSprop": [
        dict(lr=0.02),
        dict(lr=0.02, alpha=0.8),
        dict(lr=0.02, eps=1e-2),
        dict(lr=0.02, weight_decay=0.1),
        dict(lr=0.02, maximize=True),
        dict(lr=0.015, momentum=0.8),
        dict(lr=0.015, centered=True, eps=1e-3),
        dict(lr=0.015, centered=True, momentum=0.7, weight_decay=0.1, eps=1e-3),
        dict(lr=0.015, momentum=0.8, cautious=True),
    ],
    "Adamax": _ADAMAX,
    "NAdam": [
        *_RADAM,
        dict(lr=0.02, momentum_decay=0.1),
        dict(lr=0.02, momentum_decay=0.1, weight_decay=0.2, decoupled_weight_decay=True,
             maximize=True),
    ],
    "RAdam": _RADAM,
    "Adagrad": [
        dict(lr=0.1),
        dict(lr=0.1, lr_decay=0.05),
        dict(lr=0.1, weight_decay=0.1),
        dict(lr=0.1, initial_accumulator_value=0.5),
        dict(lr=0.1, eps=1e-1),
        dict(lr=0.1, maximize=True),
        dict(lr=0.1, lr_decay=0.01, weight_decay=0.1, initial_accumulator_value=0.1, maximize=True),
    ],
    "Adadelta": [
        dict(lr=0.5),
        dict(rho=0.8),
        dict(eps=1e-3),
        dict(weight_decay=0.1),
        dict(maximize=True),
        dict(lr=0.7, rho=0.95, eps=1e-4, weight_decay=0.1, maximize=True),
    ],
    "Rprop": [
        dict(lr=0.02),
        dict(lr=0.02, etas=(0.3, 1.1)),
        dict(lr=0.02, step_sizes=(1e-2, 0.1)),
        dict(lr=0.02, maximize=True, step_sizes=(1e-3, 0.1)),
    ],
    "ASGD": [
        dict(lr=0.05),
        dict(lr=0.05, lambd=0.05),
        dict(lr=0.05, lambd=0.05, alpha=0.4),
        dict(lr=0.05, t0=10),
        dict(lr=0.05, weight_decay=0.1),
        dict(lr=0.05, maximize=True),
        dict(lr=0.05, lambd=0.02, alpha=0.6, t0=5, weight_decay=0.1, maximize=True),
    ],
    "Lion": [
        dict(lr=0.02),
        dict(lr=0.02, betas=(0.7, 0.8)),
        dict(lr=0.02, weight_decay=0.1),
        dict(lr=0.02, maximize=True),
        dict(lr=0.02, weight_decay=0.1, cautious=True),
    ],
    "Adan": [
        dict(lr=0.02),
        dict(lr=0.02, betas=(0.9, 0.8, 0.95)),
        dict(lr=0.02, eps=1e-2),
        dict(lr=0.02, weight_decay=0.1),
        dict(lr=0.02, maximize=True),
        dict(lr=0.02, weight_decay=0.1, cautious=True),
    ],
    "ADOPT": [
        dict(lr=0.02),
        dict(lr=0.02, betas=(0.7, 0.95)),
        dict(lr=0.02, eps=1.5),
        dict(lr=0.02, clip_lambda=None),
        dict(lr=0.02, weight_decay=0.1),
        dict(lr=0.02, weight_decay=0.1, decouple=True),
        dict(lr=0.02, maximize=True),
        dict(lr=0.02, weight_decay=0.1, decouple=True, cautious=True),
    ],
    "AdaBelief": [
        dict(lr=0.02),
        dict(lr=0.02, betas=(0.7, 0.95)),
        dict(lr=0.02, eps=1e-2),
        dict(lr=0.02, weight_decay=0.1),
        dict(lr=0.02, weight_decay=0.1, decoupled_weight_decay=False),
        dict(lr=0.02, maximize=True),
        dict(lr=0.02, weight_decay=0.1, cautious=True),
    ],
    "SGDScheduleFree": [*_AVERAGE, dict(lr=0.05, momentum=0.6)],
    "AdamWScheduleFree": [
        *_AVERAGE, dict(lr=0.05, betas=(0.7, 0.9)), dict(lr=0.05, eps=1e-2),
    ],
    "textbook.GradientDescent": [dict(lr=0.05)],
    "textbook.Momentum": [dict(lr=0.3, beta=0.8)],
    "textbook.RMSprop": [dict(lr=0.02, beta=0.8, eps=1e-3)],
    "textbook.Adam": [dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3)],
}  # fmt: skip
OPTIMIZERS = [Row(name, s) for name, settings in SETTINGS.items() for s in settings]
LABELS = [row.label for row in OPTIMIZERS]
