# ruff: noqa  (as people write them)
"""An ordinary training script."""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import tinygrad_opt as torch
import tinygrad_opt.backends.cudnn as cudnn
import tinygrad_opt.nn.functional as F
from tinygrad_opt import Tensor, nn, optim
from tinygrad_opt.cuda.amp import GradScaler
from tinygrad_opt.optim.lr_scheduler import CosineAnnealingLR
from tinygrad_opt.utils.data import DataLoader, Dataset, TensorDataset, random_split


class Net(nn.Module):
    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0.1))
        self.head = nn.Linear(hidden, 2)
        self.register_buffer("mean", torch.zeros(inputs))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) * self.scale
        h = F.relu(self.layers(x))
        logits: Tensor = self.head(h)
        return logits


class Squares(Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, n: int) -> None:
        self.x = torch.randn(n, 4)
        self.y = (self.x.sum(dim=1) > 0).long()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.x[i], self.y[i]


@torch.no_grad()
def evaluate(
    model: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]], device: torch.device
) -> float:
    model.eval()
    correct, total = 0.0, 0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        correct += float((model(x).argmax(dim=-1) == y).sum().item())
        total += y.size(0)
    return correct / total


def seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    cudnn.deterministic = True


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=1e-3)
    args = parser.parse_args()
    seed_all(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train, test = random_split(Squares(100), [80, 20])
    loader = DataLoader(train, batch_size=16, shuffle=True, num_workers=0, pin_memory=True)
    model = Net(4, 16).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
    scheduler = CosineAnnealingLR(optimizer, T_max=10)
    scaler = GradScaler(enabled=False)
    for epoch in range(2):
        model.train()
        for x, y in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(model(x), y)
            scaler.scale(loss).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        scheduler.step()
        print(epoch, loss.item(), evaluate(model, DataLoader(test, batch_size=8), device))
    path = Path("model.pt")
    torch.save({"model": model.state_dict(), "epoch": 1}, path)
    state = torch.load(path, map_location="cpu")
    model.load_state_dict(state["model"])
    x = torch.exp(torch.cat([torch.zeros(2), torch.ones(2)], dim=0))
    values, indices = torch.max(torch.stack([x, x]), dim=1)
    y = torch.where(x > 1, x, torch.tensor(0.0)).clamp(min=0.5).view(2, -1).t().contiguous()
    z = (y @ y.t() + 1) / 2 - y.mean()
    for name, p in model.named_parameters():
        if p.grad is not None:
            print(name, p.grad.norm().item(), p.shape, p.dtype == torch.float32)
    print(values.tolist(), indices.tolist(), z.detach().cpu().numpy().sum())
    leaf = torch.randn(3, requires_grad=True)
    slope = torch.autograd.grad((leaf**2).sum(), leaf, create_graph=True)[0]
    flags = {"fused": True} if torch.cuda.is_available() else {"foreach": False}
    print(slope.view(-1).shape, optim.Adam([leaf], lr=1e-3, betas=(0.9, 0.9), **flags))
    print(F.pad(x, (1, 1)).shape, torch.fft.rfft(x).abs().sum(), torch.special.expit(x))
    normal = torch.distributions.Normal(torch.zeros(2), torch.ones(2))
    print(normal.log_prob(normal.rsample()).sum(), torch.add(x, 1.0, out=torch.empty(0)))
    data = TensorDataset(x, x)
    w = torch.einsum("ij,jk->ik", y, y.transpose(0, 1)) if len(data) else torch.eye(2)
    w.add_(1).mul_(2.0)
    total: float = w.sum().item()
    print(total, torch.softmax(w, dim=-1).max(dim=0).values)


if __name__ == "__main__":
    main()
