"""The command line of `python -m tinygrad_opt`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import kernels
from ..__config__ import parallel_info, show
from ..kernels import UpdateRule
from ..playground.line import add_command as add_playground
from ..tour import command as tour
from . import machine_code, roofline
from .measure import SIZES, Row, crossover, measure, warm_up
from .rules import built_in, find_rule

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; `arguments` are those of the command line if None.

    Exits with 2, and what was wrong, where they make no sense.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        given.run(given)
    except (ValueError, ImportError, OSError) as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tinygrad_opt", description=__doc__)
    parser.set_defaults(run=_info)
    commands = parser.add_subparsers(title="commands")

    info = commands.add_parser("info", help="versions, threads, folders, GPUs: for bug reports")
    info.set_defaults(run=_info)

    text = commands.add_parser("show", help="what a rule becomes")
    text.add_argument("rule", help="a rule of the package, or FILE.py:NAME")
    kinds = text.add_mutually_exclusive_group()
    for kind, what in (
        ("llvm", "LLVM's optimised form"),
        ("asm", "assembly, with the hot loop marked"),
        ("ptx", "PTX for an NVIDIA GPU, and its registers"),
        ("parallel", "the kernel for several threads"),
        ("cuda", "the kernel for a GPU"),
    ):
        kinds.add_argument(f"--{kind}", dest="kind", action="store_const", const=kind, help=what)
    text.set_defaults(run=_show, kind="serial")

    bench = commands.add_parser("bench", help="how fast rules are, beside a copy of memory")
    bench.add_argument("rules", nargs="+", metavar="rule", help="one, or several to compare")
    bench.add_argument("--sizes", type=_whole, nargs="+", default=SIZES, metavar="N")
    bench.add_argument("--seconds", type=float, default=0.5, help="for each size (default 0.5)")
    bench.add_argument("--out", metavar="FILE", help="draw a roofline, as .png, .svg or .pdf")
    bench.set_defaults(run=_bench)

    warm = commands.add_parser("warmup", help="compile rules into the cache, ahead of a first step")
    warm.add_argument("rules", nargs="*", metavar="rule", help="those; else all of the package")
    warm.set_defaults(run=_warmup)
    for command in (text, bench, warm):
        command.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    add_playground(commands)
    tour.add_to(commands)
    return parser


def _whole(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"a size must be a whole number, at least 1, got {text}")
    return number


def _info(given: Any) -> None:
    print(show(), parallel_info(), sep="\n\n")


def _show(given: Any) -> None:
    rule = find_rule(given.rule)
    if given.kind == "llvm":
        print(rule.llvm(given.dtype))
    elif given.kind == "asm":
        print(machine_code.marked(rule.asm(given.dtype)))
    elif given.kind == "ptx":
        text = rule.ptx(given.dtype)
        print(f"// registers: {machine_code.declared_registers(text)}", text, sep="\n")
    else:
        print(rule.source(given.kind, given.dtype))


def _warmup(given: Any) -> None:
    rules = [find_rule(text) for text in given.rules] or list(built_in().values())
    dtype = np.dtype(given.dtype)
    for rule in rules:
        warm_up(rule, dtype)
        print(f"{rule.name}: ready for {dtype}")
    print(f"in {kernels.compiler.cache.folder()}")


def _bench(given: Any) -> None:
    rules, dtype = [find_rule(text) for text in given.rules], np.dtype(given.dtype)
    if not 0 < given.seconds < float("inf"):
        raise ValueError(f"--seconds must be positive, got {given.seconds}")
    if given.out:
        roofline.check_picture(given.out)
    rows = measure(rules, dtype, sorted(set(given.sizes)), given.seconds)
    for rule, own in zip(rules, rows, strict=True):
        print(_table(rule, own), _facts(rule, own, dtype), sep="\n", end="\n\n")
    if len(rules) > 1:
        print(_compared(rules, rows))
    if given.out:
        roofline.draw(rules, rows, roofline.peak(dtype), given.out)
        print(f"roofline: {given.out}")


def _table(rule: UpdateRule, rows: list[Row]) -> str:
    lines = [
        f"{rule.name}({', '.join(rule._rule.arguments)})",
        f"{'elements':>12}{'1 thread, us':>15}{'threads, us':>14}{'GB/s':>8}{'of a copy':>11}",
    ]
    lines += [
        f"{row.elements:>12,}{row.serial * 1e6:>15,.2f}{row.parallel * 1e6:>14,.2f}"
        f"{row.rate / 1e9:>8.1f}{row.share:>11.0%}"
        for row in rows
    ]
    return "\n".join(lines)


def _facts(rule: UpdateRule, rows: list[Row], dtype: np.dtype[Any]) -> str:
    """From where on several threads pay, and what the assembly says."""
    found = machine_code.hot_loop(rule.asm(dtype))
    code = "no loop of packed arithmetic"
    if found is not None:
        lanes = found.bits // (8 * dtype.itemsize)
        code = f"{found.instructions} instructions, {lanes} numbers in a register"
    first = crossover(rows)
    drawn = [f"{name}, {kind}" for name, kind in rule._rule.draws]
    return "\n".join((
        f"threads pay from: {'none of these sizes' if first is None else f'{first:,} elements'}",
        f"hot loop: {code}",
        f"operations an element: {roofline.operations(rule)}",
        *([f"draws for each: {'; '.join(drawn)} (Philox-4x32-10)"] if drawn else []),
    ))  # fmt: skip


def _compared(rules: list[UpdateRule], rows: list[list[Row]]) -> str:
    """The time of each rule as a multiple of the first one's."""
    lines = [f"{'elements':>12}" + "".join(f"{rule.name[:20]:>22}" for rule in rules)]
    for own in zip(*rows, strict=True):
        times = "".join(f"{row.best / own[0].best:>22.2f}" for row in own)
        lines.append(f"{own[0].elements:>12,}{times}")
    return "\n".join(lines)
