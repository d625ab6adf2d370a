"""Checkpoints of a run of several processes, to go on with as many, or with another number."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import random
from ..training import checkpoints as files
from ..training.checkpoints import take_over
from .objects import broadcast_object_list, messenger
from .state import the

__all__ = ["Checkpoints"]


class _Random:
    """The random generators of all ranks, as a part of a checkpoint."""

    def __init__(self, group: Any) -> None:
        self._group = group
        self.states: list[Any] = []

    def state_dict(self) -> dict[str, Any]:
        return {"ranks": self.states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.states = list(state["ranks"])

    def gather(self) -> None:
        """All ranks' states come to all ranks; called by all."""
        mine = json.dumps(random.state_of(random.current())).encode()
        self.states = [json.loads(s) for s in self._group.all_gather_bytes(mine, "random numbers")]

    def set(self) -> None:
        """This rank goes on from its state; where there were others, from a stream of its own."""
        rank, size = self._group.rank(), self._group.size()
        if len(self.states) == size:
            random.set_rng_state(self.states[rank])
            return
        seeds = [s["state"]["state"]["state"] % 2**63 for s in self.states]
        mixed = np.random.SeedSequence([*seeds, size, rank])
        random.manual_seed(int(mixed.generate_state(1, np.uint64)[0] >> np.uint64(1)))


class Checkpoints:
    """`training.Checkpoints` of a run of several processes: one file, which rank 0 writes.

    folder, keep, parts: as there. All processes make it, and call `save` and `restore`; of the
    folder only rank 0 needs to know. A part with `consolidate_state_dict` (a
    ZeroRedundancyOptimizer) is gathered for it. Parts should be the same on all ranks: models,
    optimizers, schedulers, a DistributedSampler. The random generators of all ranks are kept, too:
    as many processes go on bit for bit; another number begins with streams of its own.

    A file is written aside and renamed into place, so that whenever a rank dies, the last
    checkpoint is whole. Raises what `training.Checkpoints` raises, on all ranks.

    >>> import tempfile
    >>> from tinygrad_opt import distributed, nn
    >>> distributed.init_process_group("mpi")
    >>> checkpoints = Checkpoints(tempfile.mkdtemp(), model=nn.Linear(2, 1))
    >>> _ = checkpoints.save(step=10)
    >>> checkpoints.restore()
    {'step': 10}
    >>> distributed.destroy_process_group()
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, keep: int | None = 3, process_group: Any = None,
        **parts: Any,
    ) -> None:  # fmt: skip
        self._group = messenger(the(process_group))
        self._random = _Random(self._group)
        self.parts = parts
        self._files: files.Checkpoints | None = None
        if self._group.rank() == 0:
            self._files = files.Checkpoints(
                folder, keep=keep, **parts, processes=self._random
            )  # fmt: skip

    def save(self, step: int, **values: Any) -> Path | None:
        """Writes a checkpoint; its path on rank 0, None on the others.

        Returns when the file is there.
        """
        for part in self.parts.values():
            if hasattr(part, "consolidate_state_dict"):
                part.consolidate_state_dict(to=self._group.ranks[0])
        self._random.gather()
        path = self._on_rank_0(lambda checkpoints: checkpoints.save(step, **values))
        return path if self._group.rank() == 0 else None

    def restore(self, step: int | None = None) -> dict[str, Any] | None:
        """Puts all parts where the newest checkpoint (or that of `step`) found them, on all ranks.

        Returns the values given to `save`; None if there is no checkpoint yet.
        """
        content = self._on_rank_0(lambda checkpoints: checkpoints.read(step))
        if content is None:
            return None
        parts = dict(self.parts)
        if "processes" in content:  # else it is a checkpoint of one process
            parts["processes"] = self._random
        else:
            self._random.states = [content.get("random")]
        values = take_over(content, parts)
        self._random.set()
        return values

    def steps(self) -> list[int]:
        """The steps there are checkpoints of, in order."""
        return list(self._on_rank_0(lambda checkpoints: checkpoints.steps()))

    def _on_rank_0(self, work: Any) -> Any:
        """What `work` returns there, on all ranks; what it raises, too."""
        answer: list[Any] = [None, None]
        if self._files is not None:
            try:
                answer[0] = work(self._files)
            except Exception as error:
                answer[1] = error
        broadcast_object_list(answer, group=self._group, group_src=0)
        if answer[1] is not None:
            raise answer[1]
        return answer[0]
