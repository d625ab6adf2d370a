# ruff: noqa  (as people write them)
"""Contrastive learning: InfoNCE, a queue, a momentum encoder, own optimizer, EMA by swa_utils."""

import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class LARS(torch.optim.Optimizer):
    def __init__(self, params, lr, weight_decay=0.0, momentum=0.9, eta=0.01):
        defaults = dict(lr=lr, weight_decay=weight_decay, momentum=momentum, eta=eta)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                dp = p.grad
                if dp is None:
                    continue
                if p.ndim > 1:
                    dp = dp.add(p, alpha=g["weight_decay"])
                    param_norm, update_norm = torch.norm(p), torch.norm(dp)
                    one = torch.ones_like(param_norm)
                    q = torch.where(
                        param_norm > 0.0,
                        torch.where(update_norm > 0, g["eta"] * param_norm / update_norm, one),
                        one,
                    )
                    dp = dp.mul(q)
                param_state = self.state[p]
                if "mu" not in param_state:
                    param_state["mu"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                mu = param_state["mu"]
                mu.mul_(g["momentum"]).add_(dp)
                p.add_(mu, alpha=-g["lr"])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU())
        self.projector = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x):
        return F.normalize(self.projector(self.backbone(x)), dim=-1)


def nt_xent(z1, z2, temperature=0.5):
    z = torch.cat([z1, z2], dim=0)
    sim = z @ z.T / temperature
    n = z1.shape[0]
    mask = torch.eye(2 * n, dtype=torch.bool, device=z.device)
    sim = sim.masked_fill(mask, torch.finfo(sim.dtype).min)
    labels = torch.arange(2 * n, device=z.device).roll(n)
    return F.cross_entropy(sim, labels)


class MoCoQueue(nn.Module):
    def __init__(self, rng, dim=4, size=12):
        super().__init__()
        queue = torch.tensor(rng.standard_normal((dim, size)), dtype=torch.float32)
        self.register_buffer("queue", F.normalize(queue, dim=0))
        self.register_buffer("ptr", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def push(self, keys):
        ptr = int(self.ptr)
        self.queue[:, ptr : ptr + keys.shape[0]] = keys.T
        self.ptr[0] = (ptr + keys.shape[0]) % self.queue.shape[1]


@torch.no_grad()
def momentum_update(q, k, m=0.9):
    for param_q, param_k in zip(q.parameters(), k.parameters()):
        param_k.data = param_k.data * m + param_q.data * (1.0 - m)


def main(fill):
    rng = np.random.default_rng(11)
    encoder = fill(Encoder(), rng)
    key_encoder = copy.deepcopy(encoder)
    for p in key_encoder.parameters():
        p.requires_grad = False
    ema = AveragedModel(encoder, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    queue = MoCoQueue(rng)
    optimizer = LARS(encoder.parameters(), lr=0.5, weight_decay=1e-3)
    history = []
    for step in range(4):
        x = torch.from_numpy(rng.standard_normal((4, 6))).float()
        noise = torch.from_numpy(rng.standard_normal((2, 4, 6))).float()
        v1, v2 = x + 0.1 * noise[0], x * (1 + 0.1 * noise[1])
        q, k = encoder(v1), key_encoder(v2)
        l_pos = torch.einsum("nc,nc->n", [q, k]).unsqueeze(-1)
        l_neg = torch.einsum("nc,ck->nk", [q, queue.queue.clone().detach()])
        logits = torch.cat([l_pos, l_neg], dim=1) / 0.2
        moco = F.cross_entropy(logits, torch.zeros(logits.shape[0], dtype=torch.long))
        simclr = nt_xent(q, encoder(v2))
        loss = moco + simclr
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        momentum_update(encoder, key_encoder)
        queue.push(k)
        ema.update_parameters(encoder)
        history += [moco.item(), simclr.item()]
    ema.eval()
    return history + [ema(x).abs().sum().item(), queue.ptr.item()]
