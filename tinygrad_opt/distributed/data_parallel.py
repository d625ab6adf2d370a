"""DistributedDataParallel: a module whose copies on all processes stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import numpy as np

from ..arrays.xp import array_namespace
from ..compiled.traced import active
from ..core.record import mode
from ..core.tensor import wrap_plain
from ..core.versions import note_write
from ..nn.module import Module
from ..nn.parameter import is_lazy
from .groups import ProcessGroup
from .objects import messenger
from .reducer import Reducer
from .state import the

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """The module under the name `module`; gradients are averaged over all processes by backward.

    Every process makes the same module and trains it on data of its own; parameters and buffers
    start as those of rank 0. When backward is done, each `.grad` is the mean over the processes: so
    norms, clipping and steps are the same everywhere, and so are the parameters. N processes with
    batches of B make the step of one process with a batch of N * B, to rounding, if the loss is a
    mean over the batch.

    module                  what it calls; the state dict's names begin with "module."
    broadcast_buffers       before a forward pass in training, buffers become those of rank 0
    init_sync               check and send parameters and buffers of rank 0 at the start
    process_group           the processes; all of them by default
    find_unused_parameters  parameters may have no part in a loss: their gradient counts as zero
                            where another process used them, and stays as it is where none did.
                            Costs a small message more for each step
    device_ids, output_device, dim, bucket_cap_mb, check_reduction, gradient_as_bucket_view,
    static_graph            accepted; there is one message for all gradients

    With one process it does nothing but call the module. Backward must come after a forward pass
    through this module; gradients of gradients are not averaged. Raises ValueError before
    `init_process_group`, RuntimeError for a module without parameters to train, for lazy ones, for
    modules that differ, and where a backward pass left parameters out, at the next forward pass;
    NotImplementedError for row-sparse gradients.

    >>> from tinygrad_opt import distributed, nn
    >>> distributed.init_process_group("mpi")
    >>> model = DistributedDataParallel(nn.Linear(2, 3))
    >>> model(zeros(4, 2)).shape
    torch.Size([4, 3])
    >>> distributed.destroy_process_group()
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0,
        broadcast_buffers: bool = True, init_sync: bool = True, process_group: Any = None,
        bucket_cap_mb: float | None = None, find_unused_parameters: bool = False,
        check_reduction: bool = False, gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.process_group: ProcessGroup = the(process_group)
        self._ignored = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
        self.module = module
        named = self._parameters_here()
        if any(is_lazy(p) for _, p in named):
            raise RuntimeError(
                "Modules with uninitialized parameters can't be used with "
                "`DistributedDataParallel`. Run a dummy forward pass to correctly initialize the "
                "modules"
            )
        if not any(p.requires_grad for _, p in named):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameters "
                "that require a gradient."
            )
        self.dim, self.device_ids, self.output_device = dim, device_ids, output_device
        self.broadcast_buffers = broadcast_buffers
        self.find_unused_parameters = find_unused_parameters
        self.static_graph = static_graph
        self.require_backward_grad_sync = True
        self.require_forward_param_sync = True
        self._joining: Any = None
        self._single = self.process_group.size() == 1
        if init_sync and not self._single:
            tensors = [*named, *self._buffers_here()]
            _check_same(tensors, self.process_group)
            self._take_over([t for _, t in tensors], "parameters of rank 0")
        self._reducer: Any = self._new_reducer()

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module returns."""
        if self._single:
            return self.module(*inputs, **kwargs)
        self._before()
        return self.module(*inputs, **kwargs)

    def __getstate__(self) -> dict[str, Any]:  # copies and pickles join the default group
        left_out = ("process_group", "_reducer", "_joining")
        return {name: value for name, value in vars(self).items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.process_group, self._joining = the(), None
        self._single = self.process_group.size() == 1
        self._reducer = self._new_reducer()

    def _new_reducer(self) -> Any:
        """What averages the gradients of all that is trained; None for one process."""
        if self._single:
            return None
        trained = [(n, p) for n, p in self._parameters_here() if p.requires_grad]
        partial = self.find_unused_parameters or self.static_graph
        return Reducer(trained, self.process_group, partial)

    def _before(self) -> None:
        """What goes before a forward pass of several processes."""
        if active.trace is not None:
            active.trace.refuse(
                "calls a DistributedDataParallel, which sends messages between processes"
            )
        sync = mode.enabled and self.require_backward_grad_sync
        if sync:
            self._reducer.check_finished()
        if sync and self._joining is not None:
            self._joining.announce()
        if self.require_forward_param_sync and self.broadcast_buffers:
            self._sync_buffers()
        if mode.enabled:
            self._reducer.armed = sync
        self.require_forward_param_sync = sync

    def _parameters_here(self) -> list[tuple[str, Any]]:
        return [(n, p) for n, p in self.module.named_parameters() if n not in self._ignored]

    def _buffers_here(self) -> list[tuple[str, Any]]:
        return [(n, b) for n, b in self.module.named_buffers() if n not in self._ignored]

    def _sync_buffers(self) -> None:
        buffers = [b for _, b in self._buffers_here()]
        if buffers:
            self._take_over(buffers, "buffers of rank 0")

    def _take_over(self, tensors: list[Any], name: str, root: int = 0) -> None:
        """The tensors become those of rank `root`, in one message."""
        group, arrays = self.process_group, [t.array for t in tensors]
        space = array_namespace(arrays[0])
        parts = [space.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in arrays]
        vector = space.concatenate(parts)
        group.broadcast(vector, root, name)
        if group.rank() == root:
            return
        start = 0
        for array in arrays:
            stop = start + array.nbytes
            array[...] = vector[start:stop].view(array.dtype).reshape(array.shape)
            note_write(array)
            start = stop

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """In here gradients are added up in each process, without messages.

        The forward pass counts: one in here is not averaged. The first backward pass after a
        forward pass outside averages all that has been added up.
        """
        before = self.require_backward_grad_sync
        self.require_backward_grad_sync = False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before

    @contextmanager
    def join(
        self, divide_by_initial_world_size: bool = True, enable: bool = True,
        throw_on_early_termination: bool = False,
    ) -> Iterator[None]:  # fmt: skip
        """In here processes may have different numbers of batches.

        Who is done goes on to answer the others, with gradients of zero, until all are done; then
        all take over the parameters of one that was last. Costs a small message more a step.

        divide_by_initial_world_size  the mean is over all processes; False: over those that still
                                      have batches
        enable                        False: nothing is done
        throw_on_early_termination    RuntimeError on all processes once the first is done
        """
        if not enable or self._single:
            yield
            return
        joining = _Joining(self, divide_by_initial_world_size, throw_on_early_termination)
        self._joining = joining
        try:
            yield
            joining.answer_the_others()
        finally:
            self._joining = None
            self._reducer.divisor = self.process_group.size()


class _Joining:
    """Who still has batches, asked before each step; and what those do that have none."""

    def __init__(self, model: DistributedDataParallel, by_all: bool, throw: bool) -> None:
        self._model, self._by_all, self._throw = model, by_all, throw
        self._group = messenger(model.process_group)

    def announce(self) -> None:
        """This rank has a batch."""
        self._count(1)

    def _count(self, mine: int) -> int:
        """How many have a batch. Raises RuntimeError where that is asked for, if not all have."""
        still = np.array([mine], np.int64)
        self._group.all_reduce(still, "sum", "join")
        found, size = int(still[0]), self._group.size()
        if self._throw and found < size:
            raise RuntimeError(
                f"DistributedDataParallel.join: {size - found} of {size} ranks have no more "
                f"batches, rank {self._group.rank()} has {'one' if mine else 'none'}"
            )
        if found and not self._by_all:
            self._model._reducer.divisor = found
        return found

    def answer_the_others(self) -> None:
        """Take part in their calls with zeros; at the end take over what the last ones have."""
        model, last = self._model, True
        reducer = model._reducer
        while self._count(0):
            last = False
            if model.require_forward_param_sync and model.broadcast_buffers:
                model._sync_buffers()
            used = reducer.params
            if reducer.partial:
                used = reducer._used_somewhere([False] * len(reducer.params))
            kept = [p._grad for p in used]
            for p in used:
                space = array_namespace(p.array)
                p._grad = wrap_plain(space.zeros(p.array.shape, p.array.dtype))
            reducer.send(used)
            for p, g in zip(used, kept, strict=True):
                p._grad = g
            model.require_forward_param_sync = True
        marks = np.array([self._group.rank() if last else -1], np.int64)
        self._group.all_reduce(marks, "max", "join")
        tensors = [*model.module.parameters(), *(b for _, b in model._buffers_here())]
        model._take_over(tensors, "parameters of the last", int(marks[0]))


def _check_same(tensors: list[tuple[str, Any]], group: ProcessGroup) -> None:
    """Raises RuntimeError on all ranks unless their modules have the same tensors."""
    mine = "\n".join(f"{name} {tuple(t.array.shape)} {t.array.dtype}" for name, t in tensors)
    found = [text.decode() for text in messenger(group).all_gather_bytes(mine.encode(), "module")]
    for rank, other in enumerate(found):
        if other != found[0]:
            pairs = zip_longest(found[0].splitlines(), other.splitlines(), fillvalue="nothing")
            ours, theirs = next(pair for pair in pairs if pair[0] != pair[1])
            raise RuntimeError(
                "DistributedDataParallel: the modules of the ranks differ: where rank 0 has "
                f"{ours}, rank {rank} has {theirs}"
            )
