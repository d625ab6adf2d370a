"""Where the host's time goes in a training step: Python's profile of two networks, as a file."""

from __future__ import annotations

import cProfile
import io
import pstats
import sys
from pathlib import Path

from benchmarks.gpu.measure import Report, free, wait
from benchmarks.gpu.networks import NETWORKS, _training

STEPS = 20


def run(report: Report, quick: bool) -> None:
    """Profile them; `quick` the first alone."""
    import tinygrad_opt as tg

    out = Path(sys.argv[sys.argv.index("--out") + 1] if "--out" in sys.argv else ".")
    chosen = [name for name in NETWORKS if name.startswith(("MLP 64", "GPT", "LSTM", "CNN"))]
    for name in chosen[: 1 if quick else None]:
        with report.step(name, 15):
            step = _training(tg, NETWORKS[name], {})
            for _ in range(3):
                step()
            wait()
            profile = cProfile.Profile()
            profile.enable()
            for _ in range(STEPS):
                step()
            profile.disable()
            text = io.StringIO()
            pstats.Stats(profile, stream=text).sort_stats("tottime").print_stats(30)
            with (out / "gpu_profile.txt").open("a") as file:
                file.write(f"{name}, {STEPS} steps\n{text.getvalue()}\n")
            report.put(name, None, "profile in gpu_profile.txt")
            del step
            free()
