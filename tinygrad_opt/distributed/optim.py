"""ZeroRedundancyOptimizer: every process keeps, and steps, a part of the optimizer's state."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ..arrays.xp import array_namespace
from ..autograd.modes import enable_grad
from ..core.tensor import Tensor, wrap_plain
from ..nn.utils.clip_grad import clip_grad_norm_
from ..optim.adam_relatives import SparseAdam
from ..optim.flat import flatten
from ..optim.lbfgs import LBFGS
from ..optim.optimizer import Optimizer
from ..optim.parameters import as_groups
from ..optim.prodigy import Prodigy
from ..optim.saving import by_position
from ..optim.schedule_free import AdamWScheduleFree, SGDScheduleFree
from .collectives import broadcast
from .objects import messenger
from .reducer import reducers
from .shards import Piece, Shard
from .state import the

__all__ = ["ZeroRedundancyOptimizer"]

_AS_ONE = (LBFGS, Prodigy, AdamWScheduleFree, SGDScheduleFree, SparseAdam)


class ZeroRedundancyOptimizer(Optimizer):
    """An optimizer whose state is shared out over the processes (ZeRO, stage 1).

    params           as for every optimizer
    optimizer_class  the optimizer, such as `optim.AdamW`; it takes the other keywords
    process_group    the processes; all of them by default
    parameters_as_bucket_view, overlap_with_ddp  accepted, and without effect

    The parameters lie end to end; each process holds the state of its part of them, steps it by the
    optimizer's own kernel, and sends the result to the others. Where a `DistributedDataParallel`
    has averaged the gradients, that is all. Without one, the optimizer averages them itself: each
    process gets the mean of its part alone (reduce_scatter), so that a step sends as much as the
    plain one; it then begins with the parameters of rank 0, and `clip_grad_norm_` is its method.

    Rules that look at one element at a time are cut anywhere, the others between parameters. State
    dicts are those of the plain optimizer: `consolidate_state_dict` gathers one, and it loads on
    any number of processes. Raises TypeError for optimizers that step all parameters as one:
    LBFGS, Prodigy, the schedule-free ones, and SparseAdam. Rajbhandari et al. 2020,
    arXiv:1910.02054.

    >>> from tinygrad_opt import distributed, nn, optim
    >>> distributed.init_process_group("mpi")
    >>> model = nn.Linear(2, 3)
    >>> optimizer = ZeroRedundancyOptimizer(model.parameters(), optim.AdamW, lr=0.01)
    >>> model(zeros(4, 2)).sum().backward()
    >>> optimizer.step()
    >>> distributed.destroy_process_group()
    """

    def __init__(
        self, params: Any, optimizer_class: type[Optimizer], process_group: Any = None,
        parameters_as_bucket_view: bool = False, overlap_with_ddp: bool = False, **defaults: Any,
    ) -> None:  # fmt: skip
        if not (isinstance(optimizer_class, type) and issubclass(optimizer_class, Optimizer)):
            raise TypeError(
                "ZeroRedundancyOptimizer: optimizer_class must be a class of optimizers, such as "
                f"optim.AdamW, got {optimizer_class!r}"
            )
        if issubclass(optimizer_class, _AS_ONE):
            raise TypeError(
                f"ZeroRedundancyOptimizer: {optimizer_class.__name__} steps all parameters as one, "
                "and cannot be shared out; use it as it is, on all processes"
            )
        self.process_group = the(process_group)
        self._class, self._given = optimizer_class, defaults
        self._shards: list[list[Shard]] = []  # of each group: one a dtype
        self._inner: Any = None
        self._reduced = False
        self._consolidated: Any = None
        groups = as_groups("ZeroRedundancyOptimizer", params)
        plain = optimizer_class(groups, **defaults)  # looks at the settings
        super().__init__([_as_given(group) for group in plain.param_groups], plain.defaults)
        self._single = self.process_group.size() == 1
        if self._single:
            self._inner, self.param_groups, self.state = plain, plain.param_groups, plain.state
        elif not self._averaged():
            for p in self._params():
                broadcast(p, group=self.process_group, group_src=0)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group, as of every optimizer; on all processes."""
        if getattr(self, "_single", False):
            self._inner.add_param_group(param_group)
            return
        super().add_param_group(param_group)
        if self._inner is not None:
            self._share_out(self.param_groups[-1])

    def _params(self) -> list[Any]:
        return [p for group in self.param_groups for p in group["params"]]

    def _averaged(self) -> bool:
        return reducers.cover([p for p in self._params() if p.requires_grad])

    # Parts ----------------------------------------------------------------------------------------

    def _ready(self) -> Any:
        """The optimizer of this rank's part; made when it is first needed."""
        if self._inner is None:
            for group in self.param_groups:
                self._share_out(group)
            self.state = cast(Any, self._inner).state
        return self._inner

    def _share_out(self, group: dict[str, Any]) -> None:
        """Cut the vectors of one group, and give this rank's pieces to its optimizer."""
        whole = bool(group.get("cautious")) or not (
            self._class.update is Optimizer.update and self._class.step is Optimizer.step
        )
        index = {id(p): i for i, p in enumerate(self._params())}
        shards = [
            Shard(flat, [index[id(p)] for p in flat.params], self.process_group, whole)
            for flat in flatten(group["params"])
        ]
        self._shards.append(shards)
        settings = {k: v for k, v in group.items() if k not in ("params", "param_names")}
        own = {**settings, "params": [piece.tensor for s in shards for piece in s.pieces]}
        if self._inner is None:
            self._inner = self._class([own], **self._given)
        else:
            self._inner.add_param_group(own)

    def _pieces(self) -> list[tuple[Shard, Piece]]:
        """All pieces of this rank, in the order of its optimizer's parameters."""
        return [(s, piece) for shards in self._shards for s in shards for piece in s.pieces]

    def _reduce(self) -> None:
        """The pieces get their gradients; done once a step."""
        if self._reduced:
            return
        inner, averaged = self._ready(), self._averaged()
        if not averaged:
            self._agree()
        for shards in self._shards:
            for shard in shards:
                shard.take_gradients(averaged)
        self._reduced = inner is not None

    def _agree(self) -> None:
        """A parameter that has a gradient on one rank has one on all: zeros."""
        params = self._params()
        marks = np.array([p._grad is not None for p in params], np.uint8)
        messenger(self.process_group).all_reduce(marks, "max", "unused parameters")
        for p, mark in zip(params, marks, strict=True):
            if mark and p._grad is None:
                p._grad = wrap_plain(array_namespace(p.array).zeros_like(p.array))
            elif p._grad is not None and p._grad.is_sparse:
                p._grad = p._grad.to_dense()

    # Steps ----------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None, **kwargs: Any) -> Any:
        """Updates this rank's part, and sends the parts round; returns what `closure` returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._consolidated = None
        if self._single:
            self._inner.step()
            return loss
        self._reduce()
        self._reduced = False
        for mine, theirs in zip(self._inner.param_groups, self.param_groups, strict=True):
            mine.update({k: v for k, v in theirs.items() if k not in ("params", "param_names")})
        every = [s for shards in self._shards for s in shards]
        for shard in every:
            shard.take_values()
        self._inner.step()
        for shard in every:
            shard.give_values()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients: sets them to None, or with `set_to_none=False` to zero."""
        self._reduced = False
        super().zero_grad(set_to_none)

    def clip_grad_norm_(
        self, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
    ) -> Tensor:
        """Scales the mean gradient of all processes so that its norm is at most `max_norm`.

        Like `nn.utils.clip_grad_norm_`, which is right where a DistributedDataParallel has averaged
        the gradients; here it is for those that this optimizer averages itself. Called between
        backward and step, on all processes. Raises ValueError for a norm_type below or equal to 0.
        """
        if self._single or self._averaged():
            return clip_grad_norm_(self._params(), max_norm, norm_type, error_if_nonfinite)
        order = float(norm_type)
        if not order > 0:
            raise ValueError(
                f"ZeroRedundancyOptimizer.clip_grad_norm_: norm_type must be above 0, got {order}"
            )
        self._reduce()
        arrays = [p.tensor._grad.array for _, p in self._pieces() if p.tensor._grad is not None]
        sizes = [abs(a.astype(np.float64)) for a in arrays]
        if math.isinf(order):
            of_mine = max((float(x.max()) for x in sizes if x.size), default=0.0)
        else:
            of_mine = sum(float((x**order).sum()) for x in sizes)
        mine = np.array([of_mine], np.float64)
        how = "max" if math.isinf(order) else "sum"
        messenger(self.process_group).all_reduce(mine, how, "norm of the gradient")
        size = float(mine[0]) if math.isinf(order) else float(mine[0]) ** (1.0 / order)
        if error_if_nonfinite and not math.isfinite(size):
            raise RuntimeError(
                f"The total norm of order {order} for gradients is non-finite, {size}, so it "
                "cannot be clipped. To disable this error and scale the gradients by the "
                "non-finite norm anyway, set `error_if_nonfinite=False`"
            )
        factor = max_norm / (size + 1e-6)
        if factor < 1 or math.isnan(factor):
            for array in arrays:
                array *= factor
        return wrap_plain(np.asarray(size, self._params()[0].array.dtype))

    # State dicts ----------------------------------------------------------------------------------

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Gathers the state of all parts at rank `to`, where `state_dict` then has it.

        All processes call it; again after further steps.
        """
        if self._single:
            return
        self._ready()
        entries = []
        for shard, piece in self._pieces():
            held = self._inner.state.get(piece.tensor)
            if held:
                arrays = {k: getattr(v, "array", v) for k, v in held.items()}
                entries.append((shard.numbers[piece.number], piece.start, piece.stop, arrays))
        group = messenger(self.process_group)
        found = group.gather_bytes(pickle.dumps(entries), to, "consolidate_state_dict")
        self._consolidated = None
        if group.rank() == to:
            self._consolidated = self._joined([e for part in found for e in pickle.loads(part)])

    def _joined(self, entries: list[Any]) -> dict[int, dict[str, Any]]:
        """The state of whole parameters, made of that of pieces."""
        params = self._params()
        state: dict[int, dict[str, Any]] = {}
        for number, start, stop, arrays in entries:
            p = params[number]
            entry = state.setdefault(number, {})
            for name, array in arrays.items():
                if not self._is_cut(name, array, stop - start):
                    entry[name] = array
                    continue
                if name not in entry:
                    entry[name] = np.zeros(p.array.shape, array.dtype)
                entry[name].reshape(-1)[start:stop] = np.asarray(array).reshape(-1)
        return {
            number: {k: wrap_plain(v) if hasattr(v, "dtype") else v for k, v in entry.items()}
            for number, entry in sorted(state.items())
        }

    def _is_cut(self, name: str, array: Any, size: int) -> bool:
        """Whether a state has an element for each of the parameter's."""
        single = name == "step" or name in self._class.scalar_states
        single = single or name in self._class.free_states
        return not single and getattr(array, "size", -1) == size

    def state_dict(self) -> dict[str, Any]:
        """That of the plain optimizer, with the state of all parameters.

        Raises RuntimeError where `consolidate_state_dict` has not gathered it since the last step.
        """
        if self._single:
            return self._inner.state_dict()
        if self._consolidated is None:
            raise RuntimeError(
                "Optimizer state has not been consolidated on this rank. Please call "
                f"`consolidate_state_dict(to={self.process_group.rank()})` on all ranks "
                "beforehand if you meant to save the global state."
            )
        saved = super().state_dict()
        saved["state"] = self._consolidated
        return saved

    def load_state_dict(self, state_dict: dict[str, Any], **kwargs: Any) -> None:
        """Takes over the state dict of the plain optimizer, or of one shared out otherwise.

        Every process is given the whole, and takes its part. Raises ValueError where groups, shapes
        or types differ; nothing has changed then.
        """
        if self._single:
            self._inner.load_state_dict(state_dict, **kwargs)
            return
        inner, groups = self._ready(), state_dict["param_groups"]
        partners = by_position("ZeroRedundancyOptimizer", groups, self.param_groups)
        by_number = {id(p): state_dict["state"].get(n) for n, (p, _) in partners.items()}
        state, numbers = {}, []
        for i, (shard, piece) in enumerate(self._pieces()):
            numbers.append(i)
            entry = by_number.get(id(shard.flat.params[piece.number]))
            if entry is not None:
                state[i] = self._part_of(entry, shard, piece)
        own, start = [], 0
        for group, held in zip(groups, inner.param_groups, strict=True):
            stop = start + len(held["params"])
            kept = {k: v for k, v in group.items() if k not in ("params", "param_names")}
            own.append({**kept, "params": numbers[start:stop]})
            start = stop
        inner.load_state_dict({"state": state, "param_groups": own}, **kwargs)
        self.state, self._consolidated = inner.state, None
        for mine, loaded in zip(self.param_groups, inner.param_groups, strict=True):
            mine.update({k: v for k, v in loaded.items() if k not in ("params", "param_names")})

    def _part_of(self, entry: dict[str, Any], shard: Shard, piece: Piece) -> dict[str, Any]:
        """One piece's part of the state of a parameter."""
        p, part = shard.flat.params[piece.number], {}
        for name, value in entry.items():
            array = getattr(value, "array", value)
            if tuple(getattr(array, "shape", (-1,))) == tuple(p.array.shape) and self._is_cut(
                name, array, p.array.size
            ):
                cut = array.reshape(-1)[piece.start : piece.stop]
                value = wrap_plain(cut.reshape(piece.tensor.array.shape))
            part[name] = value
        return part


def _as_given(group: dict[str, Any]) -> dict[str, Any]:
    """A group as it was given to the optimizer: with names, if it had some."""
    given = {k: v for k, v in group.items() if k != "param_names"}
    if "param_names" in group:
        given["params"] = list(zip(group["param_names"], group["params"], strict=True))
    return given
