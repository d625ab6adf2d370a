"""How many elements a thread takes at a time, and whether blocks go round: what is fastest."""

from __future__ import annotations

from benchmarks.gpu.measure import Report, free
from benchmarks.gpu.speed import _copy, _time

KINDS = (("SGD", {}, 12), ("AdamW", {}, 28))


def run(report: Report, quick: bool) -> None:
    """Time each; `quick` with short vectors."""
    import tinygrad_opt as tg
    from tinygrad_opt import kernels
    from tinygrad_opt.kernels.compiler import codegen, cuda

    n = 10**5 if quick else 2 * 10**8
    with report.step("tiles", 60):
        copied = 8 * n / _copy(n)
        plain = codegen.ahead, cuda.MOST_BLOCKS
        for ahead in (1, 2, 4, 8):
            for blocks in (132 * 8, 132 * 32, 2**31 - 1):
                codegen.ahead = cuda.ahead = lambda dtype, ahead=ahead: ahead
                cuda.MOST_BLOCKS = blocks
                for rule in (kernels.sgd, kernels.adam):
                    rule._kernels["cuda"].clear()
                    rule._on_device.clear()
                rates = []
                for name, settings, size in KINDS:
                    us = _time(tg, None, name, dict(lr=1e-3, **settings), n)
                    rates.append(f"{name} {size * n / us / copied:.0%}")
                    free()
                report.put(f"{ahead} ahead, at most {blocks} blocks", None, ", ".join(rates),
                           "of a copy's rate")  # fmt: skip
        codegen.ahead = cuda.ahead = plain[0]
        cuda.MOST_BLOCKS = plain[1]
