"""OPTIMIZERS: every public optimizer with the settings it is tested in, and its PyTorch twin.

Those without a twin are spelled out in plain NumPy by `tests/golden/formulas.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tinygrad_opt import optim

_NO_TWIN = {
    "ADOPT", "AdaBelief", "AdamWScheduleFree", "Adan", "Lion", "SGDScheduleFree",
}  # fmt: skip
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
        alone = "." in self.name or self.name in _NO_TWIN or "cautious" in self.settings
        return None if alone else self.name

    @property
    def exact_only(self) -> bool:
        """Whether float32 may go another way than float64: what is tested is float64."""
        return self.name in _BY_SIGN or "cautious" in self.settings


_SGD = [
    dict(lr=0.05),
    dict(lr=0.05, weight_decay=0.1),
    dict(lr=0.05, maximize=True),
    dict(lr=0.05, momentum=0.9),
    dict(lr=0.05, momentum=0.9, dampening=0.4),
    dict(lr=0.05, momentum=0.9, dampening=0.4, weight_decay=0.1),
    dict(lr=0.05, momentum=0.9, nesterov=True),
    dict(lr=0.02, momentum=0.5, nesterov=True, weight_decay=0.1, maximize=True),
    dict(lr=0.05, momentum=0.9, weight_decay=0.1, cautious=True),
]
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
_RMSPROP = [
    dict(lr=0.02),
    dict(lr=0.02, alpha=0.8),
    dict(lr=0.02, eps=1e-2),
    dict(lr=0.02, weight_decay=0.1),
    dict(lr=0.02, maximize=True),
    dict(lr=0.015, momentum=0.8),
    dict(lr=0.015, centered=True, eps=1e-3),
    dict(lr=0.015, centered=True, momentum=0.7, weight_decay=0.1, eps=1e-3),
    dict(lr=0.015, momentum=0.8, cautious=True),
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
_NADAM = [
    *_RADAM,
    dict(lr=0.02, momentum_decay=0.1),
    dict(lr=0.02, momentum_decay=0.1, weight_decay=0.2, decoupled_weight_decay=True, maximize=True),
]
_ADAGRAD = [
    dict(lr=0.1),
    dict(lr=0.1, lr_decay=0.05),
    dict(lr=0.1, weight_decay=0.1),
    dict(lr=0.1, initial_accumulator_value=0.5),
    dict(lr=0.1, eps=1e-1),
    dict(lr=0.1, maximize=True),
    dict(lr=0.1, lr_decay=0.01, weight_decay=0.1, initial_accumulator_value=0.1, maximize=True),
]
_ADADELTA = [
    dict(lr=0.5),
    dict(rho=0.8),
    dict(eps=1e-3),
    dict(weight_decay=0.1),
    dict(maximize=True),
    dict(lr=0.7, rho=0.95, eps=1e-4, weight_decay=0.1, maximize=True),
]
_RPROP = [
    dict(lr=0.02),
    dict(lr=0.02, etas=(0.3, 1.1)),
    dict(lr=0.02, step_sizes=(1e-2, 0.1)),
    dict(lr=0.02, maximize=True, step_sizes=(1e-3, 0.1)),
]
_ASGD = [
    dict(lr=0.05),
    dict(lr=0.05, lambd=0.05),
    dict(lr=0.05, lambd=0.05, alpha=0.4),
    dict(lr=0.05, t0=10),
    dict(lr=0.05, weight_decay=0.1),
    dict(lr=0.05, maximize=True),
    dict(lr=0.05, lambd=0.02, alpha=0.6, t0=5, weight_decay=0.1, maximize=True),
]
_LION = [
    dict(lr=0.02),
    dict(lr=0.02, betas=(0.7, 0.8)),
    dict(lr=0.02, weight_decay=0.1),
    dict(lr=0.02, maximize=True),
    dict(lr=0.02, weight_decay=0.1, cautious=True),
]
_ADAN = [
    dict(lr=0.02),
    dict(lr=0.02, betas=(0.9, 0.8, 0.95)),
    dict(lr=0.02, eps=1e-2),
    dict(lr=0.02, weight_decay=0.1),
    dict(lr=0.02, maximize=True),
    dict(lr=0.02, weight_decay=0.1, cautious=True),
]
_ADOPT = [
    dict(lr=0.02),
    dict(lr=0.02, betas=(0.7, 0.95)),
    dict(lr=0.02, eps=1.5),
    dict(lr=0.02, clip_lambda=None),
    dict(lr=0.02, weight_decay=0.1),
    dict(lr=0.02, weight_decay=0.1, decouple=True),
    dict(lr=0.02, maximize=True),
    dict(lr=0.02, weight_decay=0.1, decouple=True, cautious=True),
]
_ADABELIEF = [
    dict(lr=0.02),
    dict(lr=0.02, betas=(0.7, 0.95)),
    dict(lr=0.02, eps=1e-2),
    dict(lr=0.02, weight_decay=0.1),
    dict(lr=0.02, weight_decay=0.1, decoupled_weight_decay=False),
    dict(lr=0.02, maximize=True),
    dict(lr=0.02, weight_decay=0.1, cautious=True),
]
_AVERAGE = [
    dict(lr=0.05, weight_decay=0.1),
    dict(lr=0.05, warmup_steps=30),
    dict(lr=0.05, r=1.5),
    dict(lr=0.05, warmup_steps=30, weight_lr_power=1.0),
    dict(lr=0.05, maximize=True),
]

OPTIMIZERS = [
    *(Row("SGD", s) for s in _SGD),
    *(
        Row("Adam", s)
        for s in [*_ADAM, dict(lr=0.02, weight_decay=0.1, decoupled_weight_decay=True)]
    ),
    *(Row("AdamW", s) for s in _ADAM),
    *(Row("RMSprop", s) for s in _RMSPROP),
    *(Row("Adamax", s) for s in _ADAMAX),
    *(Row("NAdam", s) for s in _NADAM),
    *(Row("RAdam", s) for s in _RADAM),
    *(Row("Adagrad", s) for s in _ADAGRAD),
    *(Row("Adadelta", s) for s in _ADADELTA),
    *(Row("Rprop", s) for s in _RPROP),
    *(Row("ASGD", s) for s in _ASGD),
    *(Row("Lion", s) for s in _LION),
    *(Row("Adan", s) for s in _ADAN),
    *(Row("ADOPT", s) for s in _ADOPT),
    *(Row("AdaBelief", s) for s in _ADABELIEF),
    *(Row("SGDScheduleFree", s) for s in [*_AVERAGE, dict(lr=0.05, momentum=0.6)]),
    *(
        Row("AdamWScheduleFree", s)
        for s in [*_AVERAGE, dict(lr=0.05, betas=(0.7, 0.9)), dict(lr=0.05, eps=1e-2)]
    ),
    Row("textbook.GradientDescent", dict(lr=0.05)),
    Row("textbook.Momentum", dict(lr=0.3, beta=0.8)),
    Row("textbook.RMSprop", dict(lr=0.02, beta=0.8, eps=1e-3)),
    Row("textbook.Adam", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3)),
]
LABELS = [row.label for row in OPTIMIZERS]
