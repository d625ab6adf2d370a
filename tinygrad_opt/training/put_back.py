"""Putting a model, its optimizer and the random generator back as they were, whatever happens."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from ..arrays import random
from ..core.tensor import Tensor
from ..nn.module import Module
from ..nn.parameter import is_lazy
from ..nn.registry import BUFFER, PARAMETER
from ..optim.optimizer import Optimizer

__all__ = ["modes_kept", "restored"]


@contextlib.contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """At the end every module of `model` is in training mode, or not, as before."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextlib.contextmanager
def restored(
    model: Module, optimizer: Optimizer, loss_fn: Any = None, generators: Any = ()
) -> Iterator[None]:
    """At the end everything is as before, after an exception or KeyboardInterrupt as well.

    That is: parameters and buffers of the model, of a loss that is a Module, and of the optimizer,
    in place and under their names; their gradients; the optimizer's state and settings; training
    modes; and the random generators, the default one and `generators`. An interruption while things
    are put back is raised afterwards.
    Raises ValueError for a lazy model, which has no values yet.
    """
    parts = [part for part in (model, loss_fn) if isinstance(part, Module)]
    snapshot = _Snapshot(parts, optimizer, (random.current(), *generators))
    try:
        with contextlib.ExitStack() as stack:
            for part in parts:
                stack.enter_context(modes_kept(part))
            yield
    finally:
        try:
            snapshot.put_back()
        except KeyboardInterrupt:
            snapshot.put_back()  # from the beginning: doing it twice changes nothing
            raise


class _Snapshot:
    def __init__(
        self, parts: list[Module], optimizer: Optimizer, generators: tuple[Any, ...]
    ) -> None:
        modules = [module for part in parts for module in part.modules()]
        self.names = [(m, *held) for m in modules for kind in (PARAMETER, BUFFER)
                      for held in m._own(kind)]  # fmt: skip
        grouped = [p for group in optimizer.param_groups for p in group["params"]]
        owned = [value for _, _, value in self.names if value is not None]
        found = {id(x): x for x in (*owned, *grouped)}
        if any(is_lazy(x) for x in found.values()):
            raise ValueError(
                f"{type(parts[0]).__name__} has lazy parameters, which have no values yet; call "
                "the model once on a batch, then make the optimizer"
            )
        self.values = [(x, x.array.copy()) for x in found.values()]
        self.grads = [(x, x.grad, _copied(x.grad)) for x in found.values()]
        self.optimizer = optimizer
        self.state = copy.deepcopy(optimizer.state_dict())
        self.called = optimizer._opt_called  # schedulers ask whether a step was taken
        self.generators = [(g, random.state_of(g)) for g in generators if g is not None]

    def put_back(self) -> None:
        for module, name, value in self.names:  # a buffer may have been exchanged
            if getattr(module, name, None) is not value:
                setattr(module, name, value)
        for x, values in self.values:
            x.array[...] = values
        self.optimizer.load_state_dict(copy.deepcopy(self.state))
        if not all(group.get("train_mode", True) for group in self.optimizer.param_groups):
            getattr(self.optimizer, "eval", lambda: None)()  # schedule-free: stops watching
        self.optimizer._opt_called = self.called
        for x, grad, values in self.grads:
            x.grad = grad
            if grad is not None:
                grad.array[...] = values
        for generator, state in self.generators:
            generator.set_state(state)


def _copied(grad: Tensor | None) -> Any:
    return None if grad is None else grad.array.copy()
