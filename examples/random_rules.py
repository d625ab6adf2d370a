"""Update rules that draw random numbers: sampling a posterior, and rounding without bias.

python examples/random_rules.py                 # ten seconds; leaves random_rules.png
python examples/random_rules.py --quick --out /tmp/random.png

What is learnt: an argument annotated `Normal` or `Uniform` is drawn by the kernel, from the seed,
the step and the element's place. So a sampler is a rule with one more term, and a run has the same
numbers on any number of threads, compiled or not, and after it was saved and taken up again.

SGLD (Welling & Teh 2011, "Bayesian learning via stochastic gradient Langevin dynamics", equation 4)
steps along the gradient and adds noise: it ends as samples of the posterior. Stochastic rounding
(Gupta et al. 2015, arXiv:1502.02551) keeps weights on a grid of 8 bits: steps far smaller than the
grid's still move them, in the mean.
"""

from __future__ import annotations

from math import floor, sqrt

import numpy as np
from common import command_line
from pictures import BLUE, GREY, RED, looks

import tinygrad_opt as torch
from tinygrad_opt import optim
from tinygrad_opt.kernels import update_rule
from tinygrad_opt.kernels.draws import Normal, Uniform


@update_rule
def sgld(p, g, lr, z: Normal):
    """Half a step down the gradient of -log(posterior), and noise of variance lr."""
    return p - 0.5 * lr * g + sqrt(lr) * z


class SGLD(optim.Optimizer):
    """Ten lines in all, with the rule above."""

    rule = sgld

    def __init__(self, params, lr=1e-2, seed=None):
        super().__init__(params, dict(lr=lr, seed=seed))


def on_grid(x, grid, u):
    """The multiple of grid below x or above it: above as often as x lies near it."""
    return floor(x / grid + u) * grid


@update_rule
def rounded_sgd(p, g, lr, grid, u: Uniform):
    """SGD whose parameters stay on a grid."""
    return on_grid(p - lr * g, grid, u)


class RoundedSGD(optim.Optimizer):
    """Ten lines as well, and a helper."""

    rule = rounded_sgd

    def __init__(self, params, lr=1e-2, grid=2**-7, seed=None):
        super().__init__(params, dict(lr=lr, grid=grid, seed=seed))


def sample(steps, chains=2000, lr=0.05):
    """Chains that sample a Gaussian posterior: its mean and deviation, what they found, the chains.

    Prior N(0, 1), one observation y = 1.5 with noise of deviation 0.5: the posterior of the mean is
    N(1.2, 0.2).
    """
    p = torch.zeros(chains, requires_grad=True)
    optimizer = SGLD([p], lr=lr, seed=0)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (0.5 * p * p + 0.5 * ((1.5 - p) / 0.5) ** 2).sum()  # -log(posterior), all chains
        loss.backward()
        optimizer.step()
    found = p.detach().numpy()
    return 1.2, sqrt(0.2), float(found.mean()), float(found.std()), found


def small_steps(steps, size=4000, seed=0):
    """Weights on a grid of 1/128, pushed by 1/2000 a step: rounded at random or to the nearest."""
    p = torch.zeros(size, requires_grad=True)
    p.grad = -torch.ones(size)
    optimizer = RoundedSGD([p], lr=1 / 2000, grid=2**-7, seed=seed)
    paths, nearest = [], np.zeros(steps)
    for k in range(steps):
        optimizer.step()
        paths.append(float(p.detach().numpy().mean()))
        before = nearest[k - 1] if k else 0.0
        nearest[k] = np.round((before + 1 / 2000) * 128) / 128
    return np.arange(1, steps + 1) / 2000, np.array(paths), nearest


def draw(options, posterior, rounding):
    """Draw the samples under their density, and the means of rounded weights."""
    mean, deviation, *_, found = posterior
    exact, at_random, nearest = rounding
    for look in looks(options.out, options.dark):
        figure = look.figure(9, 4)
        left, right = figure.subplots(1, 2)
        left.hist(found, bins=40, density=True, color=BLUE, alpha=0.5, label="chains of SGLD")
        x = np.linspace(mean - 4 * deviation, mean + 4 * deviation, 200)
        density = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
        left.plot(x, density, color=RED, label="posterior")
        left.set(title="Samples of a posterior", xlabel="parameter", yticks=[])
        left.legend()
        right.plot(exact, color=GREY, lw=4, alpha=0.6, label="exact")
        right.plot(at_random, color=BLUE, label="rounded at random")
        right.plot(nearest, color=RED, label="rounded to the nearest")
        right.set(title="Steps of 1/2000 on a grid of 1/128", xlabel="step", ylabel="mean weight")
        right.legend()
        look.save(figure)


def main():
    """Sample, round, compare, draw."""
    options = command_line(__doc__, "random_rules.png").parse_args()
    posterior = sample(100 if options.quick else 400)
    mean, deviation, found_mean, found_deviation, _ = posterior
    print(f"posterior: mean {mean:.3f}, deviation {deviation:.3f}")
    print(f"SGLD:      mean {found_mean:.3f}, deviation {found_deviation:.3f}")
    rounding = small_steps(100)
    exact, at_random, nearest = (path[-1] for path in rounding)
    print(f"after 100 steps of 1/2000: exact {exact:.4f}, rounded to the nearest {nearest:.4f}")
    print(f"rounded at random: off by {abs(at_random - exact):.5f}")
    draw(options, posterior, rounding)
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
