"""Averaging a model over its training: SWA and EMA, as `torch.optim.swa_utils`.

The one part of `optim` that knows `nn`: an averaged model is a Module.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..arrays.dtypes import int64
from ..autograd.modes import no_grad
from ..core.tensor import Tensor
from ..core.versions import note_write
from ..kernels import average
from ..nn.batchnorm import _BatchNorm
from ..nn.module import Module
from ..tensors.creation import tensor
from .joined import Pairs
from .lr_scheduler import SWALR

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


class AveragedModel(Module):
    """A copy of a model whose parameters are the average of the model's over training.

        equal weights (SWA, the default):  avg = avg + (p - avg) / (n + 1)
        exponential (EMA):                 avg = decay * avg + (1 - decay) * p

    module       the copy; calling the averaged model runs it
    n_averaged   how many updates have been taken: a buffer, int64

    avg_fn: (averaged, current, n) -> new average of one parameter.  multi_avg_fn: (list of
    averaged, list of current, n), in place; `get_ema_multi_avg_fn(0.999)` makes one.
    use_buffers: average the buffers as well; without it they are copied from the model.
    The first update copies the model. Raises AssertionError if both functions are given.
    Source: Izmailov et al. 2018, arXiv:1803.05407 (SWA); Polyak & Juditsky 1992 (averaging).

    >>> from tinygrad_opt import nn
    >>> model = nn.Linear(1, 1, bias=False)
    >>> averaged = AveragedModel(model)
    >>> for value in (1.0, 2.0):
    ...     model.weight.data.fill_(value); averaged.update_parameters(model)
    tensor([[1.]])
    tensor([[2.]])
    >>> averaged.module.weight.item()
    1.5
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
        multi_avg_fn: Callable[[list[Tensor], list[Tensor], Tensor], None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError(  # PyTorch's type
                "AveragedModel: Only one of avg_fn and multi_avg_fn should be provided"
            )
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers
        self._memory = Pairs()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Takes the model's present parameters into the average.

        Raises ValueError, having changed nothing, if it is not a model of the same shapes.
        """
        averaged, current = _pairs(self.module, model, self.use_buffers, self._memory)
        count = int(self.n_averaged)
        weight = _weight(self.avg_fn, self.multi_avg_fn, count)
        if count > 0 and weight is not None and weight < 0.5:
            self._move_all(averaged, current, weight)
        else:
            self._update_each(_detached(averaged), _detached(current), count)
        if not self.use_buffers:
            for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
                mine.copy_(theirs)
        self.n_averaged += 1

    def _move_all(self, averaged: list[Tensor], current: list[Tensor], weight: float) -> None:
        """What `_move` does, by one launch for all that lies end to end."""
        for means, values in self._memory.vectors(averaged, current):
            average.launch((means, values), (weight,))
            note_write(means)
        for i in self._memory.rest:
            _move([averaged[i].detach()], [current[i].detach().to(averaged[i].device)], weight)

    def _update_each(self, averaged: list[Tensor], current: list[Tensor], count: int) -> None:
        if count == 0:
            for mean, value in zip(averaged, current, strict=True):
                mean.copy_(value)
        elif self.avg_fn is not None:
            for mean, value in zip(averaged, current, strict=True):
                mean.copy_(self.avg_fn(mean, value, self.n_averaged))
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            for means, values in _by_dtype(averaged, current):
                update(means, values, self.n_averaged)

    @contextlib.contextmanager
    def swapped_into(self, model: Module) -> Iterator[Module]:
        """Within it `model` has the averaged values; at the end its own again, whatever happens.

        For evaluating: `with averaged.swapped_into(model): validate(model)`. Values are copied
        in place, so that optimizers and views notice nothing.
        """
        averaged, current = map(_detached, _pairs(self.module, model, buffers=True))
        saved = [value.detach().clone() for value in current]
        try:
            with no_grad():
                for value, mean in zip(current, averaged, strict=True):
                    value.copy_(mean)
            yield model
        finally:
            with no_grad():
                for value, own in zip(current, saved, strict=True):
                    value.copy_(own)


def _pairs(
    averaged: Module, model: Module, buffers: bool, memory: Pairs | None = None
) -> tuple[list[Any], list[Any]]:
    """The parameters (and buffers) of both; `memory`, if given, has looked at them."""
    mine, theirs = list(averaged.parameters()), list(model.parameters())
    if buffers:
        mine += averaged.buffers()  # type: ignore[arg-type]
        theirs += model.buffers()  # type: ignore[arg-type]
    if memory is not None and len(mine) == len(theirs) and memory.are(mine, theirs):  # type: ignore[arg-type]
        return mine, theirs
    if [x.shape for x in mine] != [x.shape for x in theirs]:
        raise ValueError(
            "AveragedModel: the model has other parameters than the one that is averaged: "
            f"{len(theirs)} tensors against {len(mine)}, or of other shapes"
        )
    if memory is not None:
        memory.look(mine, theirs)  # type: ignore[arg-type]
    return mine, theirs


def _detached(tensors: list[Tensor]) -> list[Tensor]:
    return [x.detach() for x in tensors]


def _weight(avg_fn: Any, multi_avg_fn: Any, count: int) -> float | None:
    """How far averages move towards the values by the functions of this file; None: by others."""
    if avg_fn is not None:
        return None
    if isinstance(multi_avg_fn, functools.partial) and multi_avg_fn.func is _ema_all:
        return 1 - float(multi_avg_fn.keywords["decay"])
    return 1 / (count + 1) if multi_avg_fn in (None, _swa_all) else None


def _by_dtype(averaged: list[Tensor], current: list[Tensor]) -> Iterable[Any]:
    """Both lists, split into one pair of lists for each dtype and device."""
    kinds: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
    for mean, value in zip(averaged, current, strict=True):
        same = kinds.setdefault((mean.dtype, mean.device), ([], []))
        same[0].append(mean)
        same[1].append(value.to(mean.device))
    return kinds.values()


# Kinds of averages: functions and partials of them, so that an AveragedModel can be pickled -------


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Tensor]:
    """The exponential average of one parameter: decay * average + (1 - decay) * value.

    decay: in [0, 1]. Raises ValueError outside it.
    """
    return functools.partial(_ema, decay=_checked(decay))


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """Like `get_ema_avg_fn`, on lists of parameters and in place."""
    return functools.partial(_ema_all, decay=_checked(decay))


def get_swa_avg_fn() -> Callable[..., Tensor]:
    """The mean of one parameter over all updates: average + (value - average) / (n + 1)."""
    return _swa


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """Like `get_swa_avg_fn`, on lists of parameters and in place."""
    return _swa_all


@no_grad()
def _ema(averaged: Tensor, current: Tensor, num_averaged: Any, *, decay: float) -> Tensor:
    return decay * averaged + (1 - decay) * current


@no_grad()
def _ema_all(
    averaged: list[Tensor], current: list[Tensor], num_averaged: Any, *, decay: float
) -> None:
    _move(averaged, current, 1 - decay)


@no_grad()
def _swa(averaged: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
    return averaged + (current - averaged) / (num_averaged + 1)


@no_grad()
def _swa_all(averaged: list[Tensor], current: list[Tensor], num_averaged: Any) -> None:
    _move(averaged, current, 1 / (int(num_averaged) + 1))


def _move(averaged: list[Tensor], current: list[Tensor], weight: float) -> None:
    """Move each average towards the current value by a fraction; integers are cut as in a copy."""
    for mean, value in zip(averaged, current, strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, weight)
        else:
            mean.copy_(mean + (value - mean) * weight)


def _checked(decay: float) -> float:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(
            f"Invalid decay value {decay} provided. Please provide a value in [0,1] range."
        )
    return decay


# Batch normalisation ------------------------------------------------------------------------------


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of a model's BatchNorm layers anew, in one pass over data.

    For an averaged model, whose activations nobody has seen. `loader` yields batches, or tuples
    that begin with the batch; `device`: where batches go first. Momenta and the training mode are
    what they were afterwards, whatever happens.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not layers:
        return
    momenta, was_training = [layer.momentum for layer in layers], model.training
    try:
        model.train()
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # a plain mean over all batches
        for batch in loader:
            x = batch[0] if isinstance(batch, (list, tuple)) else batch
            model(x if device is None else x.to(device))
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        model.train(was_training)
