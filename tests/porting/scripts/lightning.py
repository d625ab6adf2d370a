# ruff: noqa  (as people write them)
"""A loop in the way of Lightning: a module that knows its steps, a trainer, callbacks, a log."""

import os
import tempfile
from collections import defaultdict
from typing import Any, Optional

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset, random_split


class LitModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.logged: dict[str, list[float]] = defaultdict(list)
        self.trainer: Optional["Trainer"] = None

    def log(self, name: str, value: Any, prog_bar: bool = False) -> None:
        self.logged[name].append(value.item() if torch.is_tensor(value) else float(value))

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


class Regressor(LitModule):
    def __init__(self, hidden: int = 8, lr: float = 1e-2):
        super().__init__()
        self.hparams = dict(hidden=hidden, lr=lr)
        self.backbone = nn.Sequential(nn.Linear(3, hidden), nn.SiLU(), nn.LayerNorm(hidden))
        self.head = nn.Linear(hidden, 1)
        self.register_buffer("seen", torch.tensor(0))

    def forward(self, x):
        return self.head(self.backbone(x)).squeeze(-1)

    def training_step(self, batch, batch_idx):
        x, y = batch
        self.seen += len(x)
        loss = nn.functional.huber_loss(self(x), y)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val_loss", nn.functional.mse_loss(self(x), y))

    def configure_optimizers(self):
        optimizer = torch.optim.NAdam(self.parameters(), lr=self.hparams["lr"])
        return {
            "optimizer": optimizer,
            "lr_scheduler": ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=0),
        }


class EarlyStopping:
    def __init__(self, monitor, patience):
        self.monitor, self.patience, self.best, self.wait = monitor, patience, np.inf, 0

    def on_epoch_end(self, trainer, module):
        value = module.logged[self.monitor][-1]
        self.wait = 0 if value < self.best else self.wait + 1
        self.best = min(self.best, value)
        trainer.should_stop = self.wait > self.patience


class Trainer:
    def __init__(self, max_epochs, callbacks, accumulate=1, clip=None):
        self.max_epochs, self.callbacks, self.should_stop = max_epochs, callbacks, False
        self.accumulate, self.clip = accumulate, clip

    def fit(self, module, train, val):
        module.trainer = self
        config = module.configure_optimizers()
        optimizer, scheduler = config["optimizer"], config["lr_scheduler"]
        for epoch in range(self.max_epochs):
            module.train()
            for i, batch in enumerate(train):
                batch = [t.to(module.device) for t in batch]
                loss = module.training_step(batch, i) / self.accumulate
                loss.backward()
                if (i + 1) % self.accumulate == 0:
                    if self.clip:
                        nn.utils.clip_grad_norm_(module.parameters(), self.clip)
                    optimizer.step()
                    optimizer.zero_grad()
            module.eval()
            with torch.no_grad():
                for i, batch in enumerate(val):
                    module.validation_step(batch, i)
            scheduler.step(module.logged["val_loss"][-1])
            for callback in self.callbacks:
                callback.on_epoch_end(self, module)
            if self.should_stop:
                break
        return optimizer

    def save_checkpoint(self, path, module, optimizer):
        torch.save(
            {
                "state_dict": module.state_dict(),
                "hyper_parameters": module.hparams,
                "optimizer_states": [optimizer.state_dict()],
                "device": module.device,
                "pytorch-lightning_version": "2.0",
            },
            path,
        )


class Data(Dataset):
    def __init__(self, rng):
        self.x = torch.tensor(rng.standard_normal((30, 3)), dtype=torch.float32)
        self.y = self.x.pow(2).sum(dim=1).sqrt()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def main(fill):
    rng = np.random.default_rng(10)
    torch.use_deterministic_algorithms(True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    data = Data(rng)
    train, val = (torch.utils.data.Subset(data, range(*r)) for r in ((0, 24), (24, 30)))
    assert sum(map(len, random_split(data, [0.8, 0.2]))) == 30
    module = fill(Regressor(), rng)
    trainer = Trainer(3, [EarlyStopping("val_loss", 2)], accumulate=2, clip=0.5)
    optimizer = trainer.fit(module, DataLoader(train, batch_size=6), DataLoader(val, batch_size=6))
    path = os.path.join(tempfile.mkdtemp(), "last.ckpt")
    trainer.save_checkpoint(path, module, optimizer)
    checkpoint = torch.load(path, weights_only=False)
    again = Regressor(**checkpoint["hyper_parameters"])
    again.load_state_dict(checkpoint["state_dict"])
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
    return [
        *module.logged["train_loss"],
        *module.logged["val_loss"],
        float(again.seen),
        again(data.x).sum().item(),
    ]
