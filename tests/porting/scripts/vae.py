# ruff: noqa  (as people write them)
"""A convolutional VAE: reparameterisation, KL, a warm-up of beta, an exponential average."""

import copy

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class VAE(nn.Module):
    def __init__(self, latent=3):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(4, 8, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.fc_mu, self.fc_var = nn.Linear(32, latent), nn.Linear(32, latent)
        self.decoder_input = nn.Linear(latent, 32)
        self.decoder = nn.Sequential(
            nn.Unflatten(1, (8, 2, 2)),
            nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1),
            nn.ELU(),
            nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1),
        )

    def encode(self, x):
        h = self.encoder(x)
        return self.fc_mu(h), self.fc_var(h)

    def reparameterize(self, mu, logvar, eps):
        std = torch.exp(0.5 * logvar)
        return eps * std + mu

    def forward(self, x, eps):
        mu, logvar = self.encode(x)
        return self.decoder(self.decoder_input(self.reparameterize(mu, logvar, eps))), mu, logvar


def loss_function(logits, x, mu, logvar, beta):
    bce = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (bce + beta * kld) / x.shape[0], bce.item(), kld.item()


@torch.no_grad()
def update_average(average, model, decay=0.9):
    for a, p in zip(average.parameters(), model.parameters()):
        a.mul_(decay).add_(p, alpha=1 - decay)


def main(fill):
    rng = np.random.default_rng(4)
    model = fill(VAE(), rng)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.RAdam(model.parameters(), lr=1e-2)
    x = torch.as_tensor((rng.random((5, 1, 8, 8)) > 0.5).astype("float32"))
    history = []
    for step in range(4):
        eps = torch.as_tensor(rng.standard_normal((5, 3)).astype("float32"))
        logits, mu, logvar = model(x, eps)
        loss, bce, kld = loss_function(logits, x, mu, logvar, beta=min(1.0, step / 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        update_average(average, model)
        history += [loss.item(), bce, kld]
    average.eval()
    sample = torch.sigmoid(average.decoder(average.decoder_input(torch.zeros(1, 3))))
    return history + [sample.mean().item()]
