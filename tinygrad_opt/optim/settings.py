"""Settings of optimizers, declared once: default, range and a line of docs; the rest follows.

    @declared
    class Sign(Optimizer):
        rule = sign_rule
        params: Params
        lr: LearningRate = 1e-3
        _: KW_ONLY
        maximize: Maximize = False

The constructor takes them in this order: `Sign(params, lr=0.001, *, maximize=False)`, for Python,
for `help()` and, as with dataclasses, for type checkers. A type says what a setting is, how it is
checked, and what the documentation says of it: Annotated[type, checks..., docs]. The values stand
in `param_groups`, not in attributes of the optimizer.
"""

from __future__ import annotations

import inspect
import math
import sys
import textwrap
from collections.abc import Callable
from dataclasses import KW_ONLY, Field, field
from inspect import Parameter
from typing import (
    Annotated,
    Any,
    NamedTuple,
    TypeAlias,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
)

from ..core.declared import constructor, next_constructor
from ..core.tensor import Tensor

__all__ = ["Setting", "declared", "required"]


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"

    def __reduce__(self) -> str:  # copies and pickles are the very same
        return "required"


required = _Required()  # the default of a hyper-parameter that has none


class Setting(NamedTuple):
    """What is declared of one setting.

    checks: called with the optimizer's name, the setting's name and a value; raise if it is bad.
    given: whether the constructor takes it; else its default counts.
    """

    default: Any
    type: Any
    checks: tuple[Callable[[str, str, Any], None], ...]
    doc: str
    keyword_only: bool
    given: bool

    def parameter(self, name: str) -> Parameter:
        """As the constructor takes it."""
        kind = Parameter.KEYWORD_ONLY if self.keyword_only else Parameter.POSITIONAL_OR_KEYWORD
        return Parameter(name, kind, default=self.default, annotation=self.type)


Class = TypeVar("Class", bound=type)


@dataclass_transform(eq_default=False, field_specifiers=(field,))
def declared(cls: Class) -> Class:
    """Makes the constructor of an optimizer from the settings that its class body declares.

    Settings of a declared base class come first; who is declared again keeps its place.
    `field(default=..., init=False)` fixes a setting that the constructor does not take.
    "{settings}" in the docstring becomes their list.
    """
    settings: dict[str, Setting] = dict(getattr(cls, "_declared", {}))
    keyword_only = False
    space = vars(sys.modules[cls.__module__])
    for name, annotation in inspect.get_annotations(cls).items():
        if isinstance(annotation, str):  # most are names of the module; `eval` compiles the others
            annotation = space.get(annotation) or eval(annotation, space, dict(vars(cls)))
        if annotation is KW_ONLY:
            keyword_only = True
        elif name != "params":
            default: Any = vars(cls).get(name, required)
            given = True
            if isinstance(default, Field):
                default, given = default.default, default.init
            if name in vars(cls):
                delattr(cls, name)
            settings[name] = _setting(annotation, default, keyword_only, given)
    cls._declared = settings  # type: ignore[attr-defined]
    if "__init__" not in vars(cls):
        cls.__init__ = _constructor(cls, settings)  # type: ignore[misc]
    if cls.__doc__:
        cls.__doc__ = cls.__doc__.replace("{settings}", _listed(settings).lstrip())
    return cls


def _setting(annotation: Any, default: Any, keyword_only: bool, given: bool) -> Setting:
    plain, *more = get_args(annotation) if hasattr(annotation, "__metadata__") else [annotation]
    checks = tuple(x for x in more if callable(x))
    doc = "; ".join(x for x in more if isinstance(x, str))
    return Setting(default, plain, checks, doc, keyword_only, given)


def _constructor(cls: Any, settings: dict[str, Setting]) -> Any:
    """`__init__(self, params, ...)`, which hands a dict of all settings to the base class."""

    def run(self: Any, given: dict[str, Any]) -> None:
        params = given.pop("params")
        values = {name: given.get(name, s.default) for name, s in settings.items()}
        next_constructor(cls, self)(self, params, self._group_defaults(values))

    first = Parameter("params", Parameter.POSITIONAL_OR_KEYWORD, annotation=Any)
    rest = [s.parameter(name) for name, s in settings.items() if s.given]
    parameters = [first, *sorted(rest, key=lambda p: p.kind)]
    made = constructor(cls.__qualname__, parameters, run, globals())
    made.__module__, made.__annotations__["return"] = cls.__module__, None
    return made


def _listed(settings: dict[str, Setting]) -> str:
    """One line or more for each setting: its name, its default, its docs."""
    return "\n".join(
        textwrap.fill(f"{name} = {s.default!r}: {s.doc}", 100, initial_indent="    ",
                      subsequent_indent="        ", break_on_hyphens=False)
        for name, s in settings.items() if s.given
    )  # fmt: skip


def check_declared(owner: str, settings: dict[str, Setting], values: dict[str, Any]) -> None:
    """Raises for the first value that is out of the range declared for it."""
    for name, s in settings.items():
        value = values.get(name, s.default)
        if not s.checks or value is required:
            continue  # nothing to check, or each group gives it
        if below_one in s.checks and get_origin(s.type) is tuple:
            _check_length(owner, name, value, len(get_args(s.type)))
        for check in s.checks:
            check(owner, name, value)
    if "fused" in settings and values["fused"] and values.get("foreach"):
        raise RuntimeError(f"{owner}: `fused` and `foreach` cannot be `True` together.")


def _check_length(owner: str, name: str, value: Any, expected: int) -> None:
    """Raises TypeError for a `value` that is not a sequence, ValueError for another length."""
    try:
        given = len(tuple(value))
    except TypeError:
        raise TypeError(f"{owner}: {name} must be {expected} numbers, got {value!r}") from None
    if given != expected:
        few = "not enough" if given < expected else "too many"
        raise ValueError(f"{owner}: {few} values in {name} (expected {expected}, got {given})")


# Checks: of the value of a setting `name` of the optimizer `owner` -------------------------------

_WORDS = {"eps": "epsilon value", "lr": "learning rate"}  # PyTorch's; others are "... value"


def at_least_zero(owner: str, name: str, value: Any) -> None:
    """Raises ValueError unless `value` >= 0."""
    if not value >= 0.0 or math.isnan(value):
        what = _WORDS.get(name, f"{name} value")
        raise ValueError(f"{owner}: Invalid {what}: {value} (must be at least 0)")


def above_zero(owner: str, name: str, value: Any) -> None:
    """Raises ValueError unless `value` > 0."""
    if not value > 0:
        what = _WORDS.get(name, f"{name} value")
        raise ValueError(f"{owner}: Invalid {what}: {value} (must be above 0)")


def positive(owner: str, name: str, value: Any) -> None:
    """Like `above_zero`, in PyTorch's words for SparseAdam."""
    if not value > 0:
        raise ValueError(f"{owner}: Invalid {_WORDS[name]}: {value} (must be positive)")


def learning_rate(owner: str, name: str, lr: Any) -> None:
    """Raises ValueError unless `lr` is a number of at least 0, or a Tensor of one element."""
    if lr is None or lr is required:
        return
    if isinstance(lr, Tensor):
        if lr.array.size != 1:
            raise ValueError(f"{owner}: Tensor lr must be 1-element, got shape {tuple(lr.shape)}")
        lr = lr.item()
    at_least_zero(owner, name, lr)


def new_learning_rate(owner: str, name: str, lr: Any) -> None:
    """Like `learning_rate`, in the words of PyTorch's newer optimizers."""
    value = lr.item() if isinstance(lr, Tensor) and lr.array.size == 1 else lr
    if not isinstance(value, Tensor) and not value >= 0:
        raise ValueError(f"{owner}: Learning rate should be >= 0 but is: {value}")


def below_one(owner: str, name: str, betas: Any) -> None:
    """Raises ValueError unless every beta is in [0, 1)."""
    for i, beta in enumerate(betas if hasattr(betas, "__iter__") else [betas]):
        if not 0.0 <= beta < 1.0:
            raise ValueError(
                f"{owner}: Invalid beta parameter at index {i}: {beta} (betas[{i}] must be in "
                f"[0, 1), got {beta})"
            )


def state_dtype(owner: str, name: str, value: Any) -> None:
    """Raises ValueError unless `value` is None or "bfloat16"."""
    if value not in (None, "bfloat16"):
        raise ValueError(
            f"{owner}: Invalid state_dtype value: {value!r} (must be None, for states as the "
            "parameters, or 'bfloat16')"
        )


def not_differentiable(owner: str, name: str, value: Any) -> None:
    """Raises RuntimeError if `value` is true."""
    if value:
        raise RuntimeError(
            f"{owner}: differentiable=True is not supported: a fused step cannot be recorded"
        )


# What optimizers share ----------------------------------------------------------------------------

_NO_EFFECT = "without effect: the one implementation is fused"

Params: TypeAlias = Any  # Tensors, dicts of groups, or (name, Tensor) pairs
LearningRate: TypeAlias = Annotated[
    float | Tensor, learning_rate, "step size >= 0, a number or a one-element Tensor"
]
NewLearningRate: TypeAlias = Annotated[
    float | Tensor, new_learning_rate, "step size >= 0, a number or a one-element Tensor"
]
Betas: TypeAlias = Annotated[
    tuple[float, float], below_one, "how slowly the averages move, each in [0, 1)"
]
Epsilon: TypeAlias = Annotated[float, at_least_zero, "keeps the division finite, >= 0"]
WeightDecay: TypeAlias = Annotated[float, at_least_zero, "how strongly p is drawn to 0, >= 0"]
Decoupled: TypeAlias = Annotated[
    bool, "weight_decay is taken from p, as AdamW does, not added to the gradient"
]
NotNegative: TypeAlias = Annotated[float, at_least_zero, ">= 0"]
Momentum: TypeAlias = Annotated[NotNegative, "share of the last step that is kept"]
Maximize: TypeAlias = Annotated[bool, "climb instead"]
Cautious: TypeAlias = Annotated[
    bool, "keep the part of a step that agrees with the gradient (`optim.cautious`)"
]
StateDtype: TypeAlias = Annotated[
    Any,  # so that PyTorch's flags in a dict pass: AdamW(params, **{"fused": True})
    state_dtype,
    '"bfloat16": states of half the size, rounded at random (`kernels.bfloat16`)',
]
Foreach: TypeAlias = Annotated[bool | None, _NO_EFFECT]
Fused: TypeAlias = Annotated[bool | None, _NO_EFFECT]
Capturable: TypeAlias = Annotated[bool, _NO_EFFECT]
Differentiable: TypeAlias = Annotated[
    bool, not_differentiable, "must be False: a fused step cannot be recorded"
]
