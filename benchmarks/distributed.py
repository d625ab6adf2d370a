"""One training script in 1, 2 and 4 processes: ours over MPI, PyTorch over gloo.

Every process has one thread and a batch of its own, of the same size for any number of processes.
A launch of each kind takes its turn in every round, so that what disturbs the machine for a while
disturbs them all. A time is that of a step on rank 0: the least and the median over the rounds.
`python -m benchmarks.distributed` is one process of it.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from statistics import median

from benchmarks import models
from benchmarks.harness import MICRO, Effort, report, table

# (maker in models.py, its arguments, what to print, small: the aim for ours / torch is for it).
NETWORKS = [
    ("perceptron", ([64, 64, 10], 64), "64-64-10, batch 64", True),
    ("perceptron", ([784, 128, 10], 64), "784-128-10, batch 64", True),
    ("convolutional", (8, 64), "digits CNN 8x8, batch 64", True),
    ("gpt", (4,), "GPT 4 layers, 128 wide, batch 4", False),
]
PROCESSES = (1, 2, 4)
SCALING, RATIO, OVERHEAD = 1.7, 0.7, 5.0  # the aims
ONE = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "NUMBA", "OMP", "MKL")}
SIZES = [1_000, 10_000, 100_000, 1_000_000]  # elements of an all-reduce


def work(library: str, seconds: float) -> dict[str, list[float]]:
    """Be one process: the least and the median seconds of a step of each network, and of sums."""
    torch = import_module(library)
    dist = import_module(f"{library}.distributed")
    parallel = import_module(f"{library}.nn.parallel")
    dist.init_process_group("gloo" if library == "torch" else "mpi")
    found = {}
    for maker, arguments, name, _ in NETWORKS:
        torch.manual_seed(0)
        model, x, y = getattr(models, maker)(torch, *arguments)
        found[name] = timed(dist, step_of(torch, parallel.DistributedDataParallel(model), x, y),
                            seconds)  # fmt: skip
        if dist.get_world_size() == 1:
            plain = timed(dist, step_of(torch, model, x, y), seconds)
            found[f"{name}, without DDP"] = plain
    if dist.get_world_size() > 1:
        for size in SIZES:
            vector = torch.zeros(size)
            found[f"sum of {size}"] = timed(dist, lambda v=vector: dist.all_reduce(v), seconds / 4)
    else:
        found["DDP alone"] = overhead(torch, parallel)
    return found if dist.get_rank() == 0 else {}


def step_of(torch, model, x, y):
    """A training step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss = torch.nn.functional.cross_entropy

    def step() -> None:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


def timed(dist, step, seconds: float) -> list[float]:
    """The least and the median seconds of a step; all ranks take as many."""
    for _ in range(5):
        step()
    begin = time.perf_counter()
    for _ in range(5):
        step()
    once = [(time.perf_counter() - begin) / 5]
    dist.broadcast_object_list(once, 0)
    batch = max(1, int(1e-3 / once[0]))
    times = []
    for _ in range(max(5, int(seconds / (batch * once[0])))):
        dist.barrier()
        begin = time.perf_counter()
        for _ in range(batch):
            step()
        times.append((time.perf_counter() - begin) / batch)
    return [min(times), median(times)]


def overhead(torch, parallel) -> list[float]:
    """Seconds that the wrapper adds to a forward pass in one process."""
    layer, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    wrapped = parallel.DistributedDataParallel(layer)

    times: dict = {wrapped: [], layer: []}
    for _ in range(1000):  # in turns
        for function, found in times.items():
            begin = time.perf_counter()
            for _ in range(10):
                function(x)
            found.append((time.perf_counter() - begin) / 10)
    return [min(times[wrapped]) - min(times[layer]), median(times[wrapped]) - median(times[layer])]


# Launching ----------------------------------------------------------------------------------------


def launch(library: str, processes: int, seconds: float, threads: dict[str, str] = ONE) -> dict:
    """What rank 0 of so many processes has found."""
    command = [sys.executable, "-m", "benchmarks.distributed", library, str(seconds)]
    environment = {k: v for k, v in os.environ.items() if k not in ONE} | threads
    options = {"cwd": Path(__file__).parents[1], "text": True}
    if library == "torch":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, **options, env=environment | {
                "RANK": str(rank), "WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": port,
            })
            for rank in range(processes)
        ]  # fmt: skip
        outputs = [process.communicate()[0] for process in started]
        return json.loads(outputs[0].splitlines()[-1])
    if processes > 1:
        command = [*mpiexec(), "-n", str(processes), *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, **options, env=environment, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def mpiexec() -> list[str]:
    """The launcher beside this Python, or on PATH."""
    beside = Path(sys.executable).with_name("mpiexec")
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise RuntimeError("benchmarks.distributed needs mpiexec: pip install mpi4py mpich")
    said = subprocess.run([found, "--version"], capture_output=True, text=True).stdout
    crowded = ["--allow-run-as-root", "--oversubscribe"]
    return [found, *(crowded if "Open MPI" in said or "PRRTE" in said else [])]


class Rounds:
    """The least and the median seconds by (library, processes, name), round by round."""

    def __init__(self, effort: Effort) -> None:
        self.all: dict[tuple, list[list[float]]] = {}
        number = max(1, effort.rounds // 5)
        for turn in range(number):
            print(f"distributed: round {turn + 1}/{number}", file=sys.stderr)
            for processes in PROCESSES:
                for library in ("tinygrad_opt", "torch"):
                    self.add(library, processes, launch(library, processes, effort.seconds * 2))
            every = {k: str(os.cpu_count()) for k in ONE}
            self.add("all cores", 2, launch("tinygrad_opt", 2, effort.seconds * 2, every))

    def add(self, library: str, processes: int, found: dict) -> None:
        """What one launch has found."""
        for name, pair in found.items():
            self.all.setdefault((library, processes, name), []).append(pair)

    def least(self, library: str, processes: int, name: str) -> float:
        """Microseconds of the quickest."""
        return min(pair[0] for pair in self.all[library, processes, name]) * MICRO

    def middle(self, library: str, processes: int, name: str) -> float:
        """Microseconds: the median of the rounds' medians."""
        return median(pair[1] for pair in self.all[library, processes, name]) * MICRO


def met(value: float, aim: float, below: bool = True) -> str:
    """Whether an aim is met."""
    return "yes" if (value <= aim if below else value >= aim) else "no"


def main(effort: Effort) -> None:
    """Run everything and write the page."""
    rounds = Rounds(effort)
    head = ["network", "processes", "ours, least / median", "torch gloo, least / median",
            "ours / torch, of the leasts", "medians", "aim", "met",
            "throughput of N over 1, of the leasts", "medians"]  # fmt: skip
    rows = []
    for _, _, name, small in NETWORKS:
        for n in PROCESSES:
            ours, theirs = (rounds.least(k, n, name) for k in ("tinygrad_opt", "torch"))
            mine, peer = (rounds.middle(k, n, name) for k in ("tinygrad_opt", "torch"))
            first, usual = (f("tinygrad_opt", 1, name) for f in (rounds.least, rounds.middle))
            rows.append([
                name, n, f"{ours:,.0f} / {mine:,.0f}", f"{theirs:,.0f} / {peer:,.0f}",
                f"{ours / theirs:.2f}", f"{mine / peer:.2f}", RATIO if small else "",
                met(ours / theirs, RATIO) if small else "",
                f"{n * first / ours:.2f}", f"{n * usual / mine:.2f}",
            ])  # fmt: skip
    scaling = []
    for _, _, name, _ in NETWORKS[2:]:
        by = [2 * f("tinygrad_opt", 1, name) / f("tinygrad_opt", 2, name)
              for f in (rounds.least, rounds.middle)]  # fmt: skip
        scaling.append([name, *(f"{x:.2f}" for x in by), SCALING, met(by[0], SCALING, False)])
    alone = rounds.least("tinygrad_opt", 1, "DDP alone")
    sums = [
        [f"{size:,}", *(f"{rounds.least(k, n, f'sum of {size}'):,.0f} / "
                        f"{rounds.middle(k, n, f'sum of {size}'):,.0f}"
                        for n in PROCESSES[1:] for k in ("tinygrad_opt", "torch"))]
        for size in SIZES
    ]  # fmt: skip
    shares = [
        [name, *(f"{rounds.least(k, 2, name):,.0f} / {rounds.middle(k, 2, name):,.0f}"
                 for k in ("tinygrad_opt", "all cores"))]
        for _, _, name, _ in NETWORKS
    ]  # fmt: skip
    report(
        "distributed", effort,
        "Microseconds of a training step (forward, cross-entropy, backward, Adam), the same script "
        "everywhere, one thread in each process. 4 processes share the cores of 2.",
        table(head, rows),
        "Weak scaling: throughput of 2 processes on 2 cores over that of 1 on 1.",
        table(["network", "of the leasts", "of the medians", "aim", "met"], scaling),
        f"DistributedDataParallel in one process adds {alone:.2f} us to a step (aim: at most "
        f"{OVERHEAD:g} us, met: {met(alone, OVERHEAD)}).",
        "Microseconds of an all_reduce of float32, least / median.",
        table(["elements", "2 processes, ours", "torch gloo", "4 processes, ours", "torch gloo"],
              sums),
        "The share of the cores: 2 processes with one thread each, and with a thread for each "
        "core each.",
        table(["network", "its share, least / median", "all cores, least / median"], shares),
    )  # fmt: skip


if __name__ == "__main__":
    result = work(sys.argv[1], float(sys.argv[2]))
    if result:  # rank 0's
        print("\n" + json.dumps(result), flush=True)
