"""Schedule-free SGD and AdamW: an average of the iterates in the place of a schedule.

Three sequences belong to such an optimizer: z takes the steps, x averages z, and gradients are
taken at y, between the two. While training, the parameters hold y; the result is x. So the
optimizer has two modes, as in the authors' package:

    optimizer.train()   the parameters hold y, and step() is possible; call it before training
    optimizer.eval()    the parameters hold x: for evaluation, and for keeping the result

Neither can be forgotten silently. A step outside of train mode raises. Calling a module whose
parameters hold y, while the module is in eval mode or nothing is recorded, warns. The mode is part
of the state dict: save model and optimizer in the same mode, either one, and training goes on from
there with the same bits. Evaluating in between does not change the training either, not by one bit:
eval() keeps y in the state, and train() puts it back unless somebody changed the parameters.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY
from typing import Annotated, Any, TypeAlias

from .. import kernels
from ..arrays.quiet import quiet
from ..autograd.modes import is_grad_enabled
from ..core.tensor import Tensor, wrap_plain
from ..nn.hooks import register_module_forward_pre_hook
from . import cautious as caution
from .flat import Run
from .optimizer import Optimizer
from .settings import (
    Betas,
    Epsilon,
    LearningRate,
    Maximize,
    Params,
    WeightDecay,
    at_least_zero,
    declared,
)
from .state import bind, unbind

__all__ = ["AdamWScheduleFree", "SGDScheduleFree"]


WarmupSteps: TypeAlias = Annotated[int, at_least_zero, "steps over which lr_t grows to lr"]
Power: TypeAlias = Annotated[float, "a power of the weights"]


class _ScheduleFree(Optimizer):
    """What the two share: modes, the warm-up, and the weights of the average."""

    counts_steps = False  # the groups count, as in the authors' code
    _watch: Watch | None = None  # while in train mode

    def nearness(self, group: dict[str, Any]) -> float:
        """How far y lies from z towards x: 0 is at z, 1 at x."""
        raise NotImplementedError

    def _group_defaults(self, settings: dict[str, Any]) -> dict[str, Any]:
        """And what a group counts, under the names of the authors' code."""
        start = dict(k=0, train_mode=False, weight_sum=0.0, lr_max=-1.0, scheduled_lr=0.0)
        return {**super()._group_defaults(settings), **start}

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        caution.refuse(type(self).__name__, s)

    # Modes

    def train(self) -> None:
        """Makes the parameters hold y, where gradients are taken; a step needs it."""
        for group in self.param_groups:
            if not group["train_mode"]:
                for p in group["params"]:
                    self._to_y(p, self.nearness(group))
                group["train_mode"] = True
        self._watch = self._watch or Watch(self)

    def eval(self) -> None:
        """Makes the parameters hold x, the result of the training so far."""
        for group in self.param_groups:
            if group["train_mode"]:
                for p in group["params"]:
                    self._to_x(p, self.nearness(group))
                group["train_mode"] = False
        if self._watch is not None:
            self._watch.end()
            self._watch = None

    @quiet
    def _to_x(self, p: Tensor, beta: float) -> None:
        entry = self.state.get(p)
        if entry:
            bind(entry, "y", wrap_plain(p.array.copy()))
            p.array[...] = _x(p.array, entry["z"].array, beta)

    @quiet
    def _to_y(self, p: Tensor, beta: float) -> None:
        entry = self.state.get(p)
        if not entry:
            return
        z, kept = entry["z"].array, unbind(entry, "y")
        if kept is not None and bool((_x(kept.array, z, beta) == p.array).all()):
            p.array[...] = kept.array
        else:  # the parameters were changed in eval mode: what they hold now is x
            p.array[...] = p.array + (1.0 - beta) * (z - p.array)

    # Steps

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        self.param_groups[-1]["train_mode"] = self.param_groups[0]["train_mode"]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Like `Optimizer.step`. Raises RuntimeError if the optimizer is not in train mode."""
        if not all(group["train_mode"] for group in self.param_groups):
            raise RuntimeError(
                f"{type(self).__name__}: Optimizer was not in train mode when step is called; call "
                "optimizer.train() before training, and optimizer.eval() before evaluation"
            )
        self._watch = self._watch or Watch(self)  # where the mode came with a state dict
        return super().step(closure)

    def runs(self) -> Iterator[Any]:
        for group in self.param_groups:
            group["k"] += 1
            warm_up = min(group["k"] / group["warmup_steps"], 1.0) if group["warmup_steps"] else 1.0
            group["scheduled_lr"] = float(group["lr"]) * warm_up
            group["lr_max"] = max(group["lr_max"], group["scheduled_lr"])
            group["weight_sum"] += _weight(group)
        yield from super().runs()

    def begin(self, group: dict[str, Any], rule: kernels.UpdateRule, run: Run) -> None:
        p, z = run.arrays[0], run.arrays[2]
        z[...] = p

    def rates(self, group: dict[str, Any]) -> tuple[float, float, float]:
        """The rate of z, its weight in the average, and the rate of y."""
        lr = group["scheduled_lr"]
        ck = _weight(group) / group["weight_sum"] if group["weight_sum"] else 0.0
        return lr, ck, lr * (1.0 - self.nearness(group) * (1.0 - ck))


@declared
class SGDScheduleFree(_ScheduleFree):
    """Schedule-free SGD: SGD whose averaged iterate replaces momentum and schedule.

    g = grad(y) + weight_decay * y  (-grad if maximize);  z = z - lr_t * g
    x = (1 - c) * x + c * z, c = w_t / (w_1 + ... + w_t), w_t = t^r * (largest lr so far)^power
    y = (1 - momentum) * z + momentum * x

    {settings}
    Call train() before training and eval() before evaluation: see `optim.schedule_free`.
    state: `z`, in eval mode also `y`; the counts are in the groups.
    Raises ValueError for settings out of range, RuntimeError for a step outside of train mode.
    Source: Defazio et al. 2024, arXiv:2405.15682v4, eqs. 3 to 5; warm-up and weights as in the
    authors' package schedulefree 1.4.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = SGDScheduleFree([w], lr=0.1)
    >>> optimizer.train()
    >>> (w * w).sum().backward(); optimizer.step(); optimizer.eval(); w
    tensor([0.8000], requires_grad=True)
    """

    rule = kernels.schedule_free_sgd

    params: Params
    lr: Annotated[LearningRate, "larger than SGD's"] = 1.0
    momentum: Annotated[float, "how near y is to x, in (0, 1)"] = 0.9
    weight_decay: Annotated[WeightDecay, "taken at y"] = 0.0
    warmup_steps: WarmupSteps = 0
    r: Power = 0.0
    weight_lr_power: Power = 2.0
    _: KW_ONLY
    maximize: Maximize = False

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, ck, ly = self.rates(group)
        return self.usual(group, t, lr=lr, ck=ck, ly=ly)

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        if not 0.0 < s["momentum"] < 1.0:
            raise ValueError(
                f"SGDScheduleFree: Invalid momentum value: {s['momentum']} (must be in (0, 1))"
            )

    def nearness(self, group: dict[str, Any]) -> float:
        return float(group["momentum"])


@declared
class AdamWScheduleFree(_ScheduleFree):
    """Schedule-free AdamW: AdamW whose averaged iterate replaces momentum and schedule.

    g = grad(y)  (-grad if maximize);  v = beta2 * v + (1 - beta2) * g^2
    n = g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * y;  z = z - lr_t * n
    x and y as in SGDScheduleFree, with beta1 as momentum.

    {settings}
    Call train() before training and eval() before evaluation: see `optim.schedule_free`.
    state: `z`, `exp_avg_sq` (v), in eval mode also `y`; the counts are in the groups.
    Raises ValueError for settings out of range, RuntimeError for a step outside of train mode.
    Source: Defazio et al. 2024, arXiv:2405.15682v4, Alg. 1; differs: bias correction and the place
    of weight decay and eps, as in the authors' package schedulefree 1.4.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = AdamWScheduleFree([w], lr=0.1)
    >>> optimizer.train()
    >>> (w * w).sum().backward(); optimizer.step(); optimizer.eval(); w
    tensor([0.9000], requires_grad=True)
    """

    rule = kernels.schedule_free_adamw
    state_names = {"v": "exp_avg_sq"}  # noqa: RUF012

    params: Params
    lr: Annotated[LearningRate, "1 to 10 times AdamW's"] = 0.0025
    betas: Annotated[Betas, "the first not 0"] = (0.9, 0.999)
    eps: Epsilon = 1e-8
    weight_decay: WeightDecay = 0.0
    warmup_steps: WarmupSteps = 0
    r: Power = 0.0
    weight_lr_power: Power = 2.0
    _: KW_ONLY
    maximize: Maximize = False

    def check_settings(self, s: dict[str, Any]) -> None:
        super().check_settings(s)
        if s["betas"][0] == 0.0:
            raise ValueError("AdamWScheduleFree: Invalid beta parameter at index 0: 0 (x needs it)")

    def coefficients(self, group: dict[str, Any], t: int) -> tuple[float, ...]:
        lr, ck, ly = self.rates(group)
        return self.usual(group, group["k"], lr=lr, ck=ck, ly=ly)

    def nearness(self, group: dict[str, Any]) -> float:
        return float(group["betas"][0])


def _weight(group: dict[str, Any]) -> float:
    return float(group["k"] ** group["r"] * group["lr_max"] ** group["weight_lr_power"])


def _x(y: Any, z: Any, beta: float) -> Any:
    return y + (1.0 - 1.0 / beta) * (z - y)


# Noticing that a model is evaluated while its parameters hold something else than the result ------


class Watch:
    """Warns, once, when a module with parameters of `optimizer` is called to be evaluated.

    That is: the module is in eval mode, or nothing is recorded. Modules outside of training pay a
    microsecond for each call as long as it watches, and nothing after `end()`.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = weakref.ref(optimizer)
        self._handle = register_module_forward_pre_hook(self._look)

    def end(self) -> None:
        """Stop watching; a second time does nothing."""
        self._handle.remove()

    def _look(self, module: Any, args: Any) -> None:
        if module.training and is_grad_enabled():
            return
        optimizer = self._optimizer()
        if optimizer is None:
            self.end()
        elif any(p in optimizer.state for p in module.parameters(recurse=False)):
            self.end()
            warnings.warn(
                f"{type(optimizer).__name__}: a {type(module).__name__} is evaluated while its "
                "parameters hold y, where gradients are taken, and not x, the result; call "
                "optimizer.eval() before evaluation, and optimizer.train() after it",
                stacklevel=4,
            )
