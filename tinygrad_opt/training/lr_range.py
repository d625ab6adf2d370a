"""The learning-rate range test: how the loss answers to a rate that grows at every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..data.batches import generators_of
from ..data.loader import DataLoader
from ..nn.module import Module
from ..optim.learning_rates import number, put
from ..optim.optimizer import Optimizer
from ..optional import new_axes
from .checks import check_loader, check_parts
from .evaluation import as_batch, switch
from .progress import progress
from .put_back import restored

__all__ = ["LRRange", "lr_range_test"]


@dataclass(frozen=True)
class LRRange:
    """What a range test measured.

    lrs: the rate of each step.  losses: the loss before that step.  smoothed: their running mean.
    suggested_lr: where the smoothed loss falls most steeply over log(lr), before its minimum;
    None if it never falls. A maximal rate for a schedule lies at the minimum or a little before.
    """

    lrs: list[float]
    losses: list[float]
    smoothed: list[float]
    suggested_lr: float | None

    def plot(self, ax: Any = None) -> Any:
        """The loss over the rate, and the suggestion; returns matplotlib's Axes.

        Raises ImportError without matplotlib.
        """
        ax = new_axes("LRRange.plot")[0] if ax is None else ax
        ax.plot(self.lrs, self.losses, color="#c3cbd3", linewidth=1, label="loss")
        ax.plot(self.lrs, self.smoothed, color="#2166ac", linewidth=2, label="smoothed")
        if self.suggested_lr is not None:
            at = self.smoothed[self.lrs.index(self.suggested_lr)]
            label = f"suggested: {self.suggested_lr:.2g}"
            ax.plot([self.suggested_lr], [at], "o", color="#c0392b", label=label)
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss", ylim=self._limits())
        ax.grid(alpha=0.3)
        ax.legend()
        return ax

    def _limits(self) -> tuple[float, float]:
        """Room for the smoothed curve up to a little above its start; the explosion is cut off."""
        low, high = min(self.smoothed), max(self.smoothed[0], min(self.smoothed))
        space = (high - low) or abs(high) or 1.0
        return low - 0.2 * space, high + 0.6 * space


def lr_range_test(
    model: Module, loss_fn: Callable[[Any, Any], Any], optimizer: Optimizer,
    batches: Iterable[Any], start: float = 1e-7, end: float = 10.0, steps: int = 100, *,
    smoothing: float = 0.9, stop_at: float = 4.0, quiet: bool = False,
) -> LRRange:  # fmt: skip
    """Trains while the rate grows geometrically from `start` to `end`; then undoes all of it.

    The first four arguments are `fit`'s.
    batches: (inputs..., target) as there, gone through again where there are fewer than `steps`.
    smoothing: the part of the running mean that each step keeps.  stop_at: the test ends early
    where the smoothed loss is beyond this multiple of its minimum, or not finite.
    Groups with different rates keep their ratios; the largest of them gets the rate. Whatever
    happens, the model, its gradients, the optimizer, a loss with parameters or buffers, and the
    random generators (the default one, the loader's and its samplers') end as they were.
    Raises ValueError for rates, steps or smoothing that make no sense, for no batches and for the
    optimizer of another model; TypeError for arguments in another order or of another kind.
    Source: Smith 2015, arXiv:1506.01186, sec. 3.3; differs: a geometric ramp, and smoothing.

    >>> from tinygrad_opt import nn, optim, randn
    >>> model = nn.Linear(3, 1)
    >>> sgd = optim.SGD(model.parameters(), lr=0.1)
    >>> x = randn(64, 3)
    >>> found = lr_range_test(model, nn.MSELoss(), sgd, [(x, x.sum(1, keepdim=True))], steps=50)
    >>> 1e-3 < found.suggested_lr < 1, sgd.param_groups[0]["lr"]
    (True, 0.1)
    """
    if not (0 < start < end and steps >= 2 and 0 <= smoothing < 1 and stop_at > 1):
        raise ValueError(
            "lr_range_test: 0 < start < end, steps >= 2, 0 <= smoothing < 1 and stop_at > 1 must "
            f"hold, got {start=}, {end=}, {steps=}, {smoothing=}, {stop_at=}"
        )
    check_parts("lr_range_test", model, loss_fn, optimizer)
    check_loader("lr_range_test", "batches", batches)
    lrs = [start * (end / start) ** (i / (steps - 1)) for i in range(steps)]
    losses: list[float] = []
    smoothed: list[float] = []
    with restored(model, optimizer, loss_fn, _generators(batches)):
        model.train()
        switch(optimizer, "train")
        ratios = _ratios(optimizer)
        mean = 0.0
        pairs = zip(lrs, _endless(batches), strict=False)
        for lr, batch in progress(pairs, "range test", quiet, total=steps, leave=False):
            for group, ratio in zip(optimizer.param_groups, ratios, strict=True):
                put(group, "lr", lr * ratio)
            loss = _step(model, optimizer, loss_fn, batch)
            mean = smoothing * mean + (1 - smoothing) * loss
            value = mean / (1 - smoothing ** (len(losses) + 1))
            if not math.isfinite(value) or (smoothed and value > stop_at * abs(min(smoothed))):
                break
            losses.append(loss)
            smoothed.append(value)
    return LRRange(lrs[: len(losses)], losses, smoothed, _steepest(lrs, smoothed))


def _step(model: Module, optimizer: Optimizer, loss_fn: Any, batch: Any) -> float:
    """A training step; returns the loss before it."""
    *inputs, target = as_batch(model, batch, "lr_range_test")

    def closure() -> Any:
        optimizer.zero_grad()
        loss = loss_fn(model(*inputs), target)
        loss.backward()
        return loss

    return float(number(optimizer.step(closure)))


def _generators(batches: Any) -> list[Any]:
    """Those that say in which order batches come."""
    if isinstance(batches, DataLoader):
        return generators_of(batches)
    own = getattr(batches, "generator", None)
    return [own] if hasattr(own, "get_state") else []


def _endless(batches: Iterable[Any]) -> Iterator[Any]:
    """The batches, over and over again."""
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise ValueError(
                "lr_range_test: there are no more batches. An iterator can be gone through once: "
                "give a DataLoader or a list, or at least `steps` batches"
            )


def _ratios(optimizer: Optimizer) -> list[float]:
    """Each group's rate as a part of the largest; 1 for all where all are zero."""
    rates = [number(group["lr"]) for group in optimizer.param_groups]
    largest = max(rates)
    return [rate / largest if largest > 0 else 1.0 for rate in rates]


def _steepest(lrs: list[float], smoothed: list[float]) -> float | None:
    """The rate where the loss falls most from its neighbour before to its neighbour after.

    All steps are equally far apart in log(lr), so differences are slopes.
    """
    if not smoothed or min(smoothed) >= smoothed[0] - 1e-6 * abs(smoothed[0]):
        return None
    lowest = smoothed.index(min(smoothed))
    slopes = [smoothed[i + 1] - smoothed[i - 1] for i in range(1, lowest)]
    return lrs[1 + slopes.index(min(slopes))] if slopes else None
