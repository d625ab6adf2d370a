# ruff: noqa  (as people write them)
"""A physics-informed network for u'' = -u: derivatives by autograd.grad, L-BFGS with closures."""

import math
from collections import OrderedDict

import numpy as np
import torch
import torch.nn as nn

torch.set_default_dtype(torch.float64)


class PINN(nn.Module):
    def __init__(self, layers):
        super().__init__()
        parts = []
        for i in range(len(layers) - 2):
            parts.append((f"layer_{i}", nn.Linear(layers[i], layers[i + 1])))
            parts.append((f"activation_{i}", nn.Tanh()))
        parts.append(("out", nn.Linear(layers[-2], layers[-1])))
        self.layers = nn.Sequential(OrderedDict(parts))
        self.log_scale = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.layers(x) * self.log_scale.exp()


def residual(model, x):
    u = model(x)
    u_x = torch.autograd.grad(
        u, x, grad_outputs=torch.ones_like(u), retain_graph=True, create_graph=True
    )[0]
    u_xx = torch.autograd.grad(
        u_x, x, grad_outputs=torch.ones_like(u_x), retain_graph=True, create_graph=True
    )[0]
    return u_xx + u


def main(fill):
    rng = np.random.default_rng(8)
    model = fill(PINN([1, 8, 8, 1]), rng)
    x = torch.linspace(0, math.pi, 15).reshape(-1, 1).requires_grad_(True)
    x0 = torch.tensor([[0.0], [math.pi / 2]])
    u0 = torch.tensor([[0.0], [1.0]])
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        lr=1.0,
        max_iter=5,
        history_size=10,
        tolerance_grad=1e-9,
        line_search_fn="strong_wolfe",
    )
    losses = []

    def closure():
        optimizer.zero_grad()
        loss_f = (residual(model, x) ** 2).mean()
        loss_u = torch.nn.functional.mse_loss(model(x0), u0)
        loss = loss_f + 10 * loss_u
        loss.backward()
        losses.append(loss.item())
        return loss

    try:
        for epoch in range(4):
            optimizer.step(closure)
        error = (model(x) - torch.sin(x)).norm() / torch.sin(x).norm()
    finally:
        torch.set_default_dtype(torch.float32)
    return losses[:6] + [losses[-1], error.item()]
