"""How long a step takes on N processes: a model fitted to 1, 2 and 4, and simulated up to 1,000.

A step computes for c seconds, with a spread, and then adds up S bytes of gradients. A message takes
latency + bytes / bandwidth; a rank that hands over several pays an overhead for each. Formulas say
how long ring, tree and the direct exchange of parts (ours) take where all begin at once; the
simulation follows every message, and lets ranks begin when their own computation is done.
"""

from __future__ import annotations

import math
import sys
from statistics import median
from typing import NamedTuple

import numpy as np

from benchmarks.distributed import NETWORKS, SIZES, launch
from benchmarks.harness import Effort, report, table

COUNTS = (2, 4, 8, 16, 64, 256, 1000)
STEPS = 20  # simulated
ETHERNET = (20e-6, 1.2e9)  # of a cluster: seconds, bytes a second; 10 Gbit


class Network(NamedTuple):
    """What messages cost: seconds, bytes a second, seconds that each one occupies its sender."""

    latency: float
    bandwidth: float
    overhead: float


# Formulas -----------------------------------------------------------------------------------------


def ring(n: int, size: float, net: Network) -> float:
    """2 (n - 1) rounds of 1 / n of the bytes."""
    return 2 * (n - 1) * (net.latency + net.overhead + size / n / net.bandwidth)


def tree(n: int, size: float, net: Network) -> float:
    """Up and down a binary tree, with all bytes."""
    return 2 * math.ceil(math.log2(n)) * (net.latency + net.overhead + size / net.bandwidth)


def direct(n: int, size: float, net: Network) -> float:
    """Each rank's part from all others at once, and back: as ours."""
    return 2 * (net.latency + (n - 1) * (net.overhead + size / n / net.bandwidth))


FORMULAS = {"ring": ring, "tree": tree, "direct": direct}


# Simulation: when each rank has the sum, from when each begins ------------------------------------


def simulate_ring(start: np.ndarray, size: float, net: Network) -> np.ndarray:
    """A rank sends on what came from its neighbour in the round before."""
    n, ready = len(start), start.copy()
    each = net.overhead + size / n / net.bandwidth
    for _ in range(2 * (n - 1)):
        sent = ready + each
        ready = np.maximum(sent, np.roll(sent, 1) + net.latency)
    return ready


def simulate_tree(start: np.ndarray, size: float, net: Network) -> np.ndarray:
    """Pairs, pairs of pairs, ...; and back."""
    n, ready = len(start), start.copy()
    each, levels = net.overhead + size / net.bandwidth, math.ceil(math.log2(n))
    for level in range(levels):
        step = 2**level
        for parent in range(0, n - step, 2 * step):
            arrives = ready[parent + step] + each + net.latency
            ready[parent] = max(ready[parent], arrives)
    for level in reversed(range(levels)):
        step = 2**level
        for parent in range(0, n - step, 2 * step):
            ready[parent] += each  # it sends, and then goes on
            ready[parent + step] = ready[parent] + net.latency
    return ready


def simulate_direct(start: np.ndarray, size: float, net: Network) -> np.ndarray:
    """Twice: all send to all, one message after the other, beginning with the next rank."""
    n, ready = len(start), start.copy()
    each = net.overhead + size / n / net.bandwidth
    for _ in range(2):
        last = ready + (n - 1) * each  # when each has sent
        arrived = last.copy()
        for distance in range(1, n):  # message `distance` of the rank that lies so far before
            arrived = np.maximum(arrived, np.roll(ready + distance * each, distance) + net.latency)
        ready = arrived
    return ready


SIMULATIONS = {"ring": simulate_ring, "tree": simulate_tree, "direct": simulate_direct}


def simulated_step(
    kind: str, n: int, compute: float, spread: float, size: float, net: Network
) -> float:
    """The mean seconds of a step: nobody begins the next one before it has the sum."""
    random = np.random.default_rng(0)
    now = np.zeros(n)
    for _ in range(STEPS):
        shape = random.lognormal(0.0, spread, n) / math.exp(spread**2 / 2)
        now = SIMULATIONS[kind](now + compute * shape, size, net)
    return float(now.max()) / STEPS


# Fitting ------------------------------------------------------------------------------------------


def fit(two: dict[int, float], four: dict[int, float]) -> Network:
    """Latency, bandwidth and overhead from the seconds of sums over 2 and 4 processes.

    two, four: by number of float32 elements. For 2 ranks a sum is one exchange of all bytes below
    256 kB; the least squares are those of relative errors.
    """
    sizes = np.array(sorted(two), float) * 4
    times = np.array([two[s] for s in sorted(two)])
    design = np.stack([np.ones_like(sizes), sizes], axis=1) / times[:, None]
    (first, slope), *_ = np.linalg.lstsq(design, np.ones_like(times), rcond=None)
    first, slope = max(first, 1e-6), max(slope, 1e-12)
    smallest = min(four)
    more = max(four[smallest] - two[smallest], 0.0) / 2  # two messages more for each
    overhead = min(more, first / 2)
    return Network(first - overhead, 1 / slope, overhead)


def main(effort: Effort) -> None:
    """Measure, fit, simulate, and write the page."""
    found: dict[int, list[dict]] = {1: [], 2: [], 4: []}
    for turn in range(max(1, effort.rounds // 5)):
        print(f"scaling: round {turn + 1}", file=sys.stderr)
        for n, results in found.items():
            results.append(launch("tinygrad_opt", n, effort.seconds * 2))

    def seconds(n: int, name: str, place: int = 0) -> float:
        pick = min if place == 0 else median
        return float(pick(result[name][place] for result in found[n]))

    sums = {n: {s: seconds(n, f"sum of {s}") for s in SIZES} for n in (2, 4)}
    here = fit(sums[2], sums[4])
    rows = []
    for maker, arguments, name, _ in NETWORKS:
        size = 4 * parameters(maker, arguments)
        alone = seconds(1, name)
        for n in (2, 4):
            crowd = max(1, n // 2)  # ranks that share a core here
            model = alone * crowd + direct(n, size, here)
            rows.append([name, n, f"{alone * 1e6:,.0f}", f"{size / 1024:,.0f}",
                         f"{model * 1e6:,.0f}", f"{seconds(n, name) * 1e6:,.0f}",
                         f"{model / seconds(n, name):.2f}"])  # fmt: skip
    far = Network(*ETHERNET, 1e-6)
    size, compute = 4 * parameters(*NETWORKS[-1][:2]), seconds(1, NETWORKS[-1][2])
    spread = 0.05
    growth = []
    for n in COUNTS:
        cells: list[object] = [n]
        for kind, formula in FORMULAS.items():
            model = compute + formula(n, size, far)
            real = simulated_step(kind, n, compute, spread, size, far)
            cells += [f"{model * 1e3:.1f}", f"{real * 1e3:.1f}", f"{compute / real:.2f}"]
        growth.append(cells)
    report(
        "scaling", effort,
        "The model of a step's time, fitted to runs of 1, 2 and 4 processes on 2 cores.",
        f"Of a message here: latency {here.latency * 1e6:.1f} us, {here.bandwidth / 1e9:.2f} GB/s, "
        f"{here.overhead * 1e6:.1f} us for each further one.",
        "Microseconds of a step, the least: compute alone times the ranks on a core, plus the "
        "direct exchange, against what was measured.",
        table(["network", "processes", "alone", "gradients, KB", "model", "measured",
               "model / measured"], rows),
        f"{NETWORKS[-1][2]} on a cluster of one rank a machine (latency {far.latency * 1e6:.0f} "
        f"us, {far.bandwidth / 1e9:.1f} GB/s), each step {compute * 1e3:.1f} ms +- "
        f"{100 * spread:.0f}%. Milliseconds of a step by the formula (all begin at once) and by "
        "simulation of every message, and how much of the throughput is left (weak scaling).",
        table(["processes", *(f"{kind}: {what}" for kind in FORMULAS
                              for what in ("formula", "simulated", "efficiency"))], growth),
    )  # fmt: skip


def parameters(maker: str, arguments: tuple) -> int:
    """How many numbers a network of `models.py` has."""
    import tinygrad_opt
    from benchmarks import models

    model, *_ = getattr(models, maker)(tinygrad_opt, *arguments)
    return sum(p.numel() for p in model.parameters())
