"""A training run that can be killed at any moment: `python training.py FOLDER WORKERS`.

Prints "step N" when a step is stored, at the end "done" and a checksum over all bits of the state.
"""

from __future__ import annotations

import sys
import zlib

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.checkpoints import Checkpoints
from tinygrad_opt.optim.lr_scheduler import CosineAnnealingLR
from tinygrad_opt.utils.data import DataLoader, Dataset

EPOCHS, ITEMS, BATCH = 40, 96, 8  # 480 steps


class Points(Dataset):
    """Points of a circle with noise, drawn anew each time."""

    def __len__(self):
        return ITEMS

    def __getitem__(self, i):
        x = tg.randn(8)
        return x, float((x * x).sum().item() > 8)


class Run:
    """All that one training run consists of."""

    def __init__(self, folder, workers):
        tg.manual_seed(11)
        settings = dict(num_workers=workers, multiprocessing_context="fork") if workers else {}
        self.model = nn.Sequential(
            nn.Linear(8, 200), nn.ReLU(), nn.Dropout(0.3), nn.Linear(200, 100), nn.ReLU(),
            nn.Linear(100, 1),
        )  # fmt: skip
        self.optimizer = optim.AdamW(self.model.parameters(), lr=0.01)
        self.scheduler = CosineAnnealingLR(self.optimizer, T_max=EPOCHS * ITEMS // BATCH)
        self.loader = DataLoader(Points(), BATCH, shuffle=True, **settings)
        self.checkpoints = Checkpoints(
            folder, model=self.model, optimizer=self.optimizer, scheduler=self.scheduler,
            loader=self.loader,
        )  # fmt: skip

    def train(self):
        """From the newest checkpoint to the end, with a new checkpoint after every step."""
        values = self.checkpoints.restore() or {"step": 0, "epoch": 0}
        step = values["step"]
        print("started", flush=True)
        for epoch in range(values["epoch"], EPOCHS):
            for x, target in self.loader:
                self.optimizer.zero_grad()
                output = self.model(x).squeeze(1)
                nn.functional.binary_cross_entropy_with_logits(output, target.float()).backward()
                self.optimizer.step()
                self.scheduler.step()
                step += 1
                self.checkpoints.save(step, epoch=epoch)
                print("step", step, flush=True)

    def checksum(self):
        """A number over every bit that training changes."""
        crc = zlib.crc32(repr((tg.get_rng_state().tolist(), self.scheduler.get_last_lr())).encode())
        arrays = list(self.model.parameters())
        for state in self.optimizer.state_dict()["state"].values():
            arrays += [state["exp_avg"], state["exp_avg_sq"]]
        for array in arrays:
            crc = zlib.crc32(array.detach().numpy().tobytes(), crc)
        return crc


if __name__ == "__main__":
    run = Run(sys.argv[1], int(sys.argv[2]))
    run.train()
    print("done", run.checksum(), flush=True)
