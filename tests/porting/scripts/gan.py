# ruff: noqa  (as people write them)
"""A GAN: two optimizers, weights_init by class name, spectral norm, detach, gradient penalty."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch import autograd


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.02)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


class Generator(nn.Module):
    def __init__(self, nz=4, ngf=4):
        super(Generator, self).__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, input):
        return self.main(input)


class Critic(nn.Module):
    def __init__(self, ndf=4):
        super(Critic, self).__init__()
        self.main = nn.Sequential(
            nn.Conv2d(1, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, 1, 4, 1, 0, bias=False),
        )

    def forward(self, input):
        return self.main(input).view(-1)


def gradient_penalty(critic, real, fake, alpha):
    mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    scores = critic(mixed)
    gradients = autograd.grad(
        outputs=scores,
        inputs=mixed,
        grad_outputs=torch.ones_like(scores),
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    return ((gradients.view(gradients.size(0), -1).norm(2, dim=1) - 1) ** 2).mean()


def main(fill):
    rng = np.random.default_rng(5)

    def noise(*size):
        return torch.FloatTensor(rng.standard_normal(size).astype("float32"))

    generator, critic = Generator(), Critic()
    generator.apply(weights_init)
    critic.apply(weights_init)
    fill(generator, rng), fill(critic, rng)
    opt_g = optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    opt_d = optim.RMSprop(critic.parameters(), lr=2e-3)
    history = []
    for step in range(3):
        real = noise(3, 1, 8, 8)
        critic.zero_grad()
        fake = generator(noise(3, 4, 1, 1))
        alpha = torch.tensor(rng.random((3, 1, 1, 1)), dtype=torch.float)
        d_loss = critic(fake.detach()).mean() - critic(real).mean()
        penalty = gradient_penalty(critic, real.data, fake.data, alpha)
        (d_loss + 10 * penalty).backward()
        opt_d.step()
        for p in critic.parameters():
            p.requires_grad = False
        generator.zero_grad()
        g_loss = -critic(fake).mean()
        g_loss.backward()
        opt_g.step()
        for p in critic.parameters():
            p.requires_grad_(True)
        history += [d_loss.item(), penalty.item(), g_loss.item()]
    return history
