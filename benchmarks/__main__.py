"""Run the benchmarks: `python -m benchmarks [--quick] [name ...]`."""

import argparse
from importlib import import_module

from benchmarks.harness import FULL, QUICK

NAMES = (
    "optimizer_step",
    "scheduler_step",
    "denormals",
    "networks",
    "compiled",
    "widths",
    "start",
    "convolution",
    "op_overhead",
    "large_arrays",
    "distributed",
    "scaling",
)


def main() -> None:
    """Run the benchmarks that the command line names, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="see that all runs; write no results")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}; there are {NAMES}")
    for name in options.names or NAMES:
        import_module(f"benchmarks.{name}").main(QUICK if options.quick else FULL)


if __name__ == "__main__":
    main()
