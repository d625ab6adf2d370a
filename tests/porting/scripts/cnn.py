# ruff: noqa  (as people write them)
"""A residual CNN: augmentation by hand, AMP's idiom, contiguous_format, clipping, OneCycleLR."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.amp import GradScaler, autocast
from torch.optim.lr_scheduler import OneCycleLR


class Block(nn.Module):
    def __init__(self, c_in, c_out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(c_in, c_out, 1, stride, bias=False), nn.BatchNorm2d(c_out)
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu_(out)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layers = nn.ModuleList([Block(4, 4), Block(4, 8, stride=2)])
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.fc(torch.flatten(self.pool(x), 1))


def augment(x, flip, shift):
    if flip:
        x = torch.flip(x, dims=[-1])
    x = F.pad(x, (2, 2, 2, 2), mode="reflect")
    h, w = shift
    x = x[:, :, h : h + 8, w : w + 8]
    return (x - x.mean(dim=(0, 2, 3), keepdim=True)) / x.std(dim=(0, 2, 3), keepdim=True)


def main(fill):
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    use_amp = device == "cuda"
    rng = np.random.default_rng(1)
    model = fill(Net(), rng).to(device, memory_format=torch.contiguous_format)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.05)
    scheduler = OneCycleLR(optimizer, max_lr=1e-2, total_steps=4)
    scaler = GradScaler(device, enabled=use_amp)
    losses = []
    for step in range(3):
        x = torch.tensor(rng.standard_normal((6, 3, 8, 8)), dtype=torch.float32)
        y = torch.tensor(rng.integers(0, 10, 6))
        x = augment(x, flip=step % 2, shift=(step, 1))
        x = x.to(device, memory_format=torch.contiguous_format, non_blocking=True)
        lam = 0.7
        index = torch.arange(5, -1, -1)
        mixed = lam * x + (1 - lam) * x[index, :]
        optimizer.zero_grad()
        with autocast(device_type=device, enabled=use_amp):
            out = model(mixed)
            loss = lam * F.cross_entropy(out, y) + (1 - lam) * F.cross_entropy(out, y[index])
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()
        scheduler.step()
        losses += [loss.item(), norm.item()]
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.benchmark = False
    return losses
