"""Looking on while a step is captured: what it takes from outside, and what the host does in it.

Only references are exchanged meanwhile, as for a compiled step (`compiled/tracing.py`), and only
this thread's calls are looked at. If the step fails, all that the host had changed is put back: the
device has done nothing yet.
"""

from __future__ import annotations

import contextlib
import copy
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...arrays import random
from ...compiled.surroundings import hooks_of
from ...core.node import Variable
from ...core.tensor import Tensor
from ...core.versions import clock, version
from ...nn.module import Module
from ...optim.lr_scheduler.base import LRScheduler
from ...optim.optimizer import Optimizer
from . import gradients
from .launches import Launcher, OptimizerStep
from .refusals import refuse

__all__ = ["Held", "SchedulerStep", "Watch"]

_array, _grad = Variable.__dict__["array"], Variable.__dict__["_grad"]
_PLAIN = (int, float, complex, str, bool)


class Held:
    """A tensor from outside: its memory and what backward would do with it, when it was read."""

    __slots__ = ("_array", "hooks", "needs_grad", "tensor", "version")

    def __init__(self, tensor: Any, array: Any) -> None:
        self.tensor, self._array = tensor, weakref.ref(array)
        self.needs_grad, self.hooks = tensor._requires_grad, hooks_of(tensor)
        self.version = version(array)

    def was_written(self) -> bool:
        """Whether the step has written to it in place."""
        return version(self.tensor.array) != self.version

    def is_as_it_was(self) -> bool:
        """Whether a graph finds the tensor as it was captured."""
        tensor = self.tensor
        return (
            tensor.array is self._array()
            and tensor._requires_grad is self.needs_grad
            and (not tensor._hooks or hooks_of(tensor) == self.hooks)
        )


class SchedulerStep:
    """One `scheduler.step()` of the captured run: the host takes it in each replay."""

    def __init__(self, scheduler: Any, original: Callable[..., Any]) -> None:
        self.scheduler, self.original = scheduler, original

    def take(self) -> None:
        """Step it."""
        self.original(self.scheduler)


class Watch:
    """What is seen of a captured step.

    held         tensors from outside, by id
    consulted    (leaf, its .grad as `gradients` notes it), of those whose gradient was looked at
                 before it was set
    grads        the same of all leaves whose .grad was looked at or set
    modules      (module, whether it trains, hooks, how many attributes) of those that ran
    effects      steps of optimizers and schedulers, in order
    made         weak references to the tensors that the step made
    """

    def __init__(self, launcher: Launcher, ours: list[Any]) -> None:
        """ours: the tensors that stand for the inputs."""
        self.launcher, self.thread = launcher, threading.get_ident()
        self.held: dict[int, Held] = {}
        self.grads: dict[int, tuple[Any, Any]] = {}
        self.consulted: list[tuple[Any, Any]] = []
        self.modules: dict[int, tuple[Any, bool, Any, int]] = {}
        self.effects: list[OptimizerStep | SchedulerStep] = []
        self.made: list[weakref.ref[Any]] = []
        self._made = {id(t): weakref.ref(t) for t in ours}
        self._slots: set[int] = set()  # ids of gradients in the buffers of optimizers
        self._spaces: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._undo: dict[int, Callable[[], None]] = {}  # by the id of an optimizer or scheduler
        self._depth = 0
        self._written = clock.last_write

    # Exchanging ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Let it see what this thread does; put everything back in the end."""
        before: list[tuple[Any, str, Any]] = []

        def exchange(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
            original = vars(owner)[name]
            before.append((owner, name, original))
            replacement = make(original)
            if isinstance(replacement, property):
                setattr(owner, name, replacement)
                return

            def chosen(*args: Any, **kwargs: Any) -> Any:
                ours = threading.get_ident() == self.thread
                return (replacement if ours else original)(*args, **kwargs)

            setattr(owner, name, chosen)

        try:
            exchange(Variable, "array", lambda _: property(self._read, self._write))
            exchange(Variable, "_grad", lambda _: property(self._read_grad, self._write_grad))
            exchange(Module, "__call__", self._call)
            exchange(random, "stream", lambda _: _refuse_draw)
            for name in ("set_state", "manual_seed"):
                exchange(random.Generator, name, lambda _: _refuse_seed)
            for name in ("item", "numpy", "tolist", "__float__", "__int__", "__bool__"):
                exchange(Tensor, name, lambda original: _reading(original))
            for kind in _with_own(Optimizer):
                exchange(kind, "step", self._optimizer_step)
            for kind in _with_own(LRScheduler):
                exchange(kind, "step", self._scheduler_step)
            yield
        finally:
            for owner, name, original in reversed(before):
                setattr(owner, name, original)

    def _ours(self) -> bool:
        return threading.get_ident() == self.thread

    # Tensors ------------------------------------------------------------------------------------

    def _is_made(self, tensor: Any) -> bool:
        known = self._made.get(id(tensor))
        return known is not None and known() is tensor

    def _read(self, tensor: Any) -> Any:
        array = _array.__get__(tensor)
        key = id(tensor)
        known = key in self.held or key in self._slots
        if self._ours() and not known and not self._is_made(tensor):
            self.held[key] = Held(tensor, array)
        return array

    def _write(self, tensor: Any, array: Any) -> None:
        if self._ours():
            try:
                there = _array.__get__(tensor)
            except AttributeError:  # it is being made
                reference = weakref.ref(tensor)
                self.made.append(reference)
                self._made[id(tensor)] = reference
            else:
                if there is not array and not self._is_made(tensor):
                    refuse(
                        "the step gives a tensor that was there before other memory "
                        "(.data = ...), which a replay would not; write into it: t.copy_(...)"
                    )
        _array.__set__(tensor, array)

    def _read_grad(self, tensor: Any) -> Any:
        found = _grad.__get__(tensor)
        if self._ours() and id(tensor) not in self.grads and self._gathers(tensor):
            self.grads[id(tensor)] = self._noted(tensor, found)
            self.consulted.append(self.grads[id(tensor)])
        return found

    def _write_grad(self, tensor: Any, grad: Any) -> None:
        if self._ours() and id(tensor) not in self.grads:
            with contextlib.suppress(AttributeError):  # it is being made
                found = _grad.__get__(tensor)
                if self._gathers(tensor):
                    self.grads[id(tensor)] = self._noted(tensor, found)
        _grad.__set__(tensor, grad)

    def _noted(self, leaf: Any, grad: Any) -> tuple[Any, Any]:
        if leaf._home is not None:
            self._slots.add(id(leaf._home.tensor))
        return leaf, gradients.note(leaf, grad)

    def _gathers(self, tensor: Any) -> bool:
        leaf = tensor.node is None and tensor._requires_grad
        return bool(leaf) and not self._is_made(tensor)

    # Modules, steps -----------------------------------------------------------------------------

    def _call(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(module: Any, *args: Any, **kwargs: Any) -> Any:
            if id(module) not in self.modules:
                if type(module).__name__ == "DistributedDataParallel":
                    refuse("DistributedDataParallel sends messages between processes; call the step"
                           " as it is")  # fmt: skip
                found = module, module.training, hooks_of(module), len(vars(module))
                self.modules[id(module)] = found
                self._spaces.append((vars(module), dict(vars(module))))
            return original(module, *args, **kwargs)

        return call

    def _optimizer_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(optimizer: Any, closure: Any = None) -> None:
            if closure is not None:
                refuse("optimizer.step(closure) evaluates the model as often as it likes; call "
                       "backward() and step() without a closure")  # fmt: skip
            made = OptimizerStep(optimizer)
            made.refuse_or_wait()
            self._undo.setdefault(id(optimizer), _undo_of_optimizer(optimizer))
            self.effects.append(made)
            self.launcher.step = made
            try:
                original(optimizer)
            finally:
                self.launcher.step = None

        return step

    def _scheduler_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(scheduler: Any, *args: Any, **kwargs: Any) -> None:
            if self._depth:  # one that is part of another
                return original(scheduler, *args, **kwargs)
            if args or kwargs:
                refuse(
                    "scheduler.step(value) looks at a value of the host, or waits for one of the "
                    "GPU; call it after the step, with the loss that the step returned"
                )
            self._undo.setdefault(id(scheduler), _undo_of_scheduler(scheduler))
            self.effects.append(SchedulerStep(scheduler, original))
            self._depth += 1
            try:
                return original(scheduler)
            finally:
                self._depth -= 1

        return step

    # Afterwards ---------------------------------------------------------------------------------

    def changed_settings(self) -> str | None:
        """A number or text of a module that the step has changed; None if there is none."""
        for space, before in self._spaces:
            for name, value in space.items():
                old = before.get(name)
                if isinstance(value, _PLAIN) and value is not old and value != old:
                    return name
        return None

    def forget(self) -> None:
        """Let go of what only a failed capture needs: it would keep parameters from moving."""
        self.launcher = None  # type: ignore[assignment]
        self.made, self._made, self._spaces, self._undo, self.grads = [], {}, [], {}, {}

    def put_back(self) -> None:
        """Undo all that the host did: the device has done nothing."""
        for undo in reversed(self._undo.values()):
            undo()
        for leaf, noted in self.grads.values():
            gradients.put(leaf, noted)
        for space, before in self._spaces:
            space.clear()
            space.update(before)
        clock.last_write = self._written


def _with_own(base: type) -> list[type]:
    """`base` and all classes below it that define `step` themselves."""
    kinds: list[type] = [base]
    for kind in kinds:
        below: list[type] = kind.__subclasses__()
        kinds += [k for k in below if k not in kinds]
    return [kind for kind in kinds if "step" in vars(kind)]


def _refuse_draw(*_: Any, **__: Any) -> Any:
    refuse(
        "the step draws random numbers on the host, and a replay would have the same ones for "
        "ever. Draw them on the GPU (device='cuda'), or outside, and pass them as an input"
    )


def _refuse_seed(*_: Any, **__: Any) -> Any:
    refuse(
        "the step sets a random generator, as checkpoint() and manual_seed() do, which a replay "
        "would not; set it outside the step"
    )


def _reading(original: Callable[..., Any]) -> Callable[..., Any]:
    """A method that reads a tensor's elements on the host."""

    def read(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if type(tensor.array) is not np.ndarray:
            refuse(
                f"the step reads a tensor on the host ({original.__name__}), and a replay waits for"
                " nothing. Return the tensor and read it after the call; decide on the device, "
                "with torch.where"
            )
        return original(tensor, *args, **kwargs)

    return read


def _undo_of_optimizer(optimizer: Any) -> Callable[[], None]:
    """What puts an optimizer back: its settings, its step counts and other numbers of the host."""
    space, groups = dict(vars(optimizer)), [dict(group) for group in optimizer.param_groups]
    flats = [flat for group in optimizer._flat for flat in group]
    numbers = [(flat, flat.steps.copy(), {k: v.copy() for k, v in flat.scalars.items()})
               for flat in flats]  # fmt: skip

    def undo() -> None:
        vars(optimizer).clear()
        vars(optimizer).update(space)
        for group, before in zip(optimizer.param_groups, groups, strict=True):
            group.clear()
            group.update(before)
        for flat, steps, scalars in numbers:
            flat.steps[...] = steps
            for name, values in scalars.items():
                flat.scalars[name][...] = values

    return undo


def _undo_of_scheduler(scheduler: Any) -> Callable[[], None]:
    """What puts a scheduler back, and the rates that it writes."""
    state = copy.deepcopy(scheduler.state_dict())
    optimizer = scheduler.optimizer
    groups = [(group, dict(group)) for group in optimizer.param_groups]

    def undo() -> None:
        scheduler.load_state_dict(state)
        for group, before in groups:
            group.clear()
            group.update(before)

    return undo
