"""A run of several processes that may be killed: `mpiexec -n N python training.py FOLDER STEPS`.

Rank 0 prints "step N" when a step is stored, at the end "done" and a checksum of the parameters.
The batch of a step is the same on any number of processes.
"""

import hashlib
import os
import sys

import numpy as np

import tinygrad_opt as tg
import tinygrad_opt.distributed as dist
from tinygrad_opt import nn, optim
from tinygrad_opt.distributed.checkpoints import Checkpoints
from tinygrad_opt.distributed.optim import ZeroRedundancyOptimizer
from tinygrad_opt.nn.parallel import DistributedDataParallel
from tinygrad_opt.utils.data import DataLoader, DistributedSampler, TensorDataset

BATCH = 12  # of all processes together
rng = np.random.default_rng(0)
DATA = TensorDataset(tg.tensor(rng.normal(size=(60, 6))), tg.tensor(rng.integers(0, 3, 60)))


def main(folder, steps):
    """Resume, train until there are that many steps, store each."""
    dist.init_process_group("mpi")
    rank, size = dist.get_rank(), dist.get_world_size()
    os.write(1, f"rank {rank} is process {os.getpid()}\n".encode())  # at once, not mixed
    model = nn.Sequential(nn.Linear(6, 500), nn.Tanh(), nn.Linear(500, 3)).double()
    model = DistributedDataParallel(model)
    optimizer = ZeroRedundancyOptimizer(model.parameters(), optim.AdamW, lr=0.01)
    sampler = DistributedSampler(DATA)
    loader = DataLoader(DATA, batch_size=BATCH // size, sampler=sampler)
    files = Checkpoints(folder, model=model, optimizer=optimizer, sampler=sampler)
    step = (files.restore() or {"step": 0})["step"]
    while step < steps:
        sampler.set_epoch(step // (len(DATA) // BATCH))
        for x, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            files.save(step)
            if rank == 0:
                print(f"step {step}", flush=True)
            if step == steps:
                break
    values = np.concatenate([p.detach().numpy().reshape(-1) for p in model.parameters()])
    if rank == 0:
        digest = hashlib.sha256(values.tobytes()).hexdigest()[:16]
        print(f"done {digest} {np.abs(values).sum():.10f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
