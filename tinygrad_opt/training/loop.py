"""The training loop, for those who do not want to write it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..autograd.modes import no_grad
from ..core.tensor import Tensor
from ..nn.module import Module
from ..optim.learning_rates import number
from ..optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from ..optim.optimizer import Optimizer
from .checks import (  # fmt: skip
    Metrics,
    as_callbacks,
    check_count,
    check_loader,
    check_parts,
    check_scheduler,
    named,
)
from .evaluation import as_batch, evaluate, measure, switch
from .history import History, Means
from .progress import progress
from .put_back import modes_kept
from .run import Callback, Run

__all__ = ["fit"]


def fit(
    model: Module, loss_fn: Callable[[Any, Any], Any], optimizer: Optimizer, loader: Iterable[Any],
    epochs: int = 1, *, validation: Iterable[Any] | None = None, metrics: Metrics | None = None,
    scheduler: LRScheduler | None = None, scheduler_per: str = "epoch", accumulate: int = 1,
    callbacks: Sequence[Callback] | Callback | None = (), quiet: bool = False,
    nan_loss: str = "raise",
) -> History:  # fmt: skip
    """Trains `model` for `epochs`; returns the numbers of each epoch, a `History`.

    loader: gives tuples (inputs..., target), anew for each epoch; they go to the model's device.
    loss_fn(output, target): the mean over a batch.  validation: a loader as well, for "val_loss".
    metrics: functions (output, target) -> number, such as `accuracy`: by name, or a list of them.
    scheduler_per: "epoch" or "step"; on a plateau it is shown "val_loss", or else "loss".
    accumulate: batches that make one step, weighted by their sizes.
    callbacks: one or several, see `Callback`.
    nan_loss: "raise" ends with a RuntimeError before the step whose loss is NaN or infinite;
    "ignore" trains on.
    How it goes is shown on stderr, unless `quiet`: a bar or lines, see `progress`.
    Raises ValueError for arguments that make no sense, for an optimizer of another model, and for a
    loader that has no batches; TypeError for arguments of another kind or in another order.

    >>> from tinygrad_opt import nn, optim, randn
    >>> x = randn(64, 2)
    >>> model, batches = nn.Linear(2, 1), [(x, x.sum(1, keepdim=True))]
    >>> history = fit(model, nn.MSELoss(), optim.SGD(model.parameters(), 0.3), batches, epochs=30)
    >>> history["loss"][-1] < 0.01
    True
    """
    if scheduler_per not in ("epoch", "step"):
        raise ValueError(f'fit: scheduler_per must be "epoch" or "step", got {scheduler_per!r}')
    check_count("fit", "epochs", epochs, 0)
    check_count("fit", "accumulate", accumulate)
    if nan_loss not in ("raise", "ignore"):
        raise ValueError(f'fit: nan_loss must be "raise" or "ignore", got {nan_loss!r}')
    check_parts("fit", model, loss_fn, optimizer)
    check_loader("fit", "loader", loader)
    if validation is not None:
        check_loader("fit", "validation", validation)
    check_scheduler("fit", scheduler, optimizer)
    run = Run(model, loss_fn, optimizer, loader, scheduler, scheduler_per, named("fit", metrics),
              as_callbacks(callbacks), quiet, nan_loss)  # fmt: skip
    _run(run, epochs, validation, accumulate)
    return run.history


def _run(run: Run, epochs: int, validation: Iterable[Any] | None, accumulate: int) -> None:
    """All epochs."""
    optimizer = run.optimizer
    run.model.train()
    run.tell("start")
    switch(optimizer, "train")
    left = range(run.epoch, epochs)
    bar = progress(left, "training", run.quiet, initial=run.epoch, total=epochs, unit="epoch")
    for _ in bar:
        run.tell("before_epoch")
        if run.stop:
            break
        record = {"lr": float(number(optimizer.param_groups[0]["lr"])), **_train(run, accumulate)}
        run.epoch += 1
        with _evaluating(run):
            if validation is not None:
                held_out = evaluate(
                    run.model, run.loss_fn, validation, run.metrics, quiet=run.quiet
                )
                record |= {f"val_{name}": value for name, value in held_out.items()}
            run.history.records.append({"epoch": run.epoch, "step": run.step, **record})
            run.tell("evaluated")
        if run.scheduler_per == "epoch":
            _schedule(run, record.get("val_loss", record["loss"]))
        run.tell("after_epoch")
        bar.set_postfix(**_foremost(record))
    bar.close()
    switch(optimizer, "eval")
    run.tell("end")


def _foremost(record: dict[str, float]) -> dict[str, float]:
    """The numbers in the order in which one wants to see them, as there may not be room for all."""
    first = [name for name in ("loss", "val_loss") if name in record]
    rest = [name for name in record if name not in (*first, "lr")]
    return {name: record[name] for name in (*first, *rest, "lr")}


def _train(run: Run, accumulate: int) -> dict[str, float]:
    """One epoch; the means of the loss and of the metrics."""
    means = Means()
    batches = progress(run.loader, f"epoch {run.epoch + 1}", run.quiet, leave=False)
    for parts in _grouped(batches, accumulate):
        seen = _step(run, [as_batch(run.model, part) for part in parts])
        means.add(seen.weight, **seen.result())
        run.step += 1
        run.tell("after_step")
        if run.scheduler_per == "step":
            _schedule(run, seen.result()["loss"])
    if not means.weight:
        raise ValueError(
            f"fit: the loader gave no batches in epoch {run.epoch + 1}. An iterator can be gone "
            "through once: give a DataLoader or a list"
        )
    return means.result()


def _step(run: Run, parts: list[list[Tensor]]) -> Means:
    """One optimizer step on all parts together; the means over them, before the step."""
    seen = Means()
    begun = False
    total = sum(len(part[0]) for part in parts)

    def closure() -> Tensor:
        nonlocal seen, begun
        searching, begun = begun, True
        seen = Means()  # some optimizers evaluate several times in a step
        run.optimizer.zero_grad()
        losses = []
        for part in parts:
            share = len(part[0]) / total
            losses.append(measure(run.model, run.loss_fn, run.metrics, part, seen))
            if not searching:  # a line search may go too far, and come back
                _check_finite(run, losses[-1].item())
            (losses[-1] if share == 1 else losses[-1] * share).backward()
            losses[-1] = losses[-1].detach() * share
        run.tell("before_step")
        return sum(losses[1:], losses[0])

    run.optimizer.step(closure)
    return seen


def _check_finite(run: Run, loss: float) -> None:
    """Raise RuntimeError where a step could only spoil the model, unless told to go on."""
    if run.nan_loss == "raise" and not math.isfinite(loss):
        raise RuntimeError(
            f"fit: the loss of step {run.step + 1}, in epoch {run.epoch + 1}, is {loss}; the "
            "parameters are still those from before that step. Look for NaNs in the data, and try "
            "a lower learning rate (lr_range_test) or ClipGradients; "
            'nan_loss="ignore" trains on regardless'
        )


@contextlib.contextmanager
def _evaluating(run: Run) -> Iterator[None]:
    """The model as it is judged: eval mode, nothing recorded, averaged values if there are any."""
    with contextlib.ExitStack() as stack:
        switch(run.optimizer, "eval")
        stack.callback(switch, run.optimizer, "train")
        stack.enter_context(modes_kept(run.model))
        run.model.eval()
        stack.enter_context(no_grad())
        for callback in run.callbacks:
            stack.enter_context(callback.evaluating(run))
        yield


def _grouped(batches: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` batches; the last may be shorter."""
    group: list[Any] = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _schedule(run: Run, loss: float) -> None:
    if isinstance(run.scheduler, ReduceLROnPlateau):
        run.scheduler.step(loss)
    elif run.scheduler is not None:
        run.scheduler.step()
