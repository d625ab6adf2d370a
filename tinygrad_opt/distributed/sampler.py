"""DistributedSampler: each process takes its share of a dataset, another order each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import numpy as np

from ..data.samplers import Sampler
from .state import get_rank, get_world_size, is_initialized

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Of one order of all items, every num_replicas-th, from `rank` on.

    dataset       what the indices are for
    num_replicas  how many share it out; the number of processes, 1 without a process group
    rank          which of them this is; the number of this process
    shuffle       an order of chance, which follows from `seed` and the epoch
    seed          the same on all processes
    drop_last     leave out what does not go round; else the first items come again at the end

    All processes get equally many. Call `set_epoch(epoch)` before each epoch, or the order is the
    same in all. `state_dict` tells how far the processes have come together, and may be loaded on
    any number of them: no item comes twice or is left out. It counts what this sampler has handed
    out, which with `num_workers` is ahead of the batches that training has seen: then take
    `state_dict(taken=...)`, items of this process in this epoch, or resume with the loader's own
    state on as many processes. Not both: each would skip what was seen.
    Raises ValueError for a rank that is not in [0, num_replicas).

    >>> [list(DistributedSampler(range(5), 2, rank, shuffle=False)) for rank in (0, 1)]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self, dataset: Sized, num_replicas: int | None = None, rank: int | None = None,
        shuffle: bool = True, seed: int = 0, drop_last: bool = False,
    ) -> None:  # fmt: skip
        alone = not is_initialized()
        self.num_replicas = (1 if alone else get_world_size()) if num_replicas is None \
            else num_replicas  # fmt: skip
        self.rank = (0 if alone else get_rank()) if rank is None else rank
        if not 0 <= self.rank < self.num_replicas:
            raise ValueError(
                f"Invalid rank {self.rank}, rank should be in the interval "
                f"[0, {self.num_replicas - 1}]"
            )
        self.dataset = dataset
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.epoch = 0
        self._begin = 0  # how many items of this epoch all processes took before a resume
        self._taken = 0  # how many of the rest this one has handed out

    @property
    def num_samples(self) -> int:
        """How many items each process gets in an epoch."""
        n, ranks = len(self.dataset), self.num_replicas
        return n // ranks if self.drop_last else -(-n // ranks)

    @property
    def total_size(self) -> int:
        """How many items all processes get together."""
        return self.num_samples * self.num_replicas

    def set_epoch(self, epoch: int) -> None:
        """The next iteration is this epoch, from its beginning."""
        if epoch != self.epoch:
            self._begin = 0
        self.epoch, self._taken = epoch, 0

    def __iter__(self) -> Iterator[int]:
        order = self._order()
        left = order[self._begin :]
        share, more = divmod(len(left), self.num_replicas)
        if more and not self.drop_last:
            share += 1
            left = np.concatenate([left, np.resize(order, self.num_replicas - more)])
        self._taken = 0
        mine = left[self.rank : share * self.num_replicas : self.num_replicas].tolist()
        for index in mine:
            self._taken += 1
            yield index
        self._begin = self._taken = 0

    def _order(self) -> Any:
        n = len(self.dataset)
        if not self.shuffle:
            return np.arange(n)
        seed = np.random.SeedSequence([self.seed % 2**64, self.epoch % 2**64])
        return np.random.Generator(np.random.PCG64(seed)).permutation(n)

    def __len__(self) -> int:
        left = len(self.dataset) - self._begin
        return left // self.num_replicas if self.drop_last else -(-left // self.num_replicas)

    def state_dict(self, taken: int | None = None) -> dict[str, int]:
        """The epoch, and how many of its items all processes have taken together.

        taken: of this process, where the sampler is ahead of what training has seen.
        """
        mine = self._taken if taken is None else taken
        return {
            "epoch": self.epoch, "seed": self.seed, "items": len(self.dataset),
            "taken": min(self._begin + mine * self.num_replicas, len(self.dataset)),
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Makes the next iteration go on from there, shared out over the processes here.

        `set_epoch` with the same epoch keeps that. Raises ValueError for another dataset's state.
        """
        missing = [k for k in ("epoch", "seed", "items", "taken") if k not in state_dict]
        if missing or state_dict["items"] != len(self.dataset):
            raise ValueError(
                "DistributedSampler.load_state_dict: the state must be of a sampler of "
                f"{len(self.dataset)} items, got {state_dict}"
            )
        self.epoch, self.seed = state_dict["epoch"], state_dict["seed"]
        self._begin, self._taken = state_dict["taken"], 0
