"""The denormal policy: on x86, CPU kernels compute with numbers below the smallest normal as zero.

Averages that fade end as denormals, numbers below 1.2e-38 in float32 and 2.2e-308 in float64, and
would stay there for ever: a tenth of the smallest one rounds to nothing. Gradients of saturated
functions are as small, or their squares are. x86 processors compute with them at a half to a
hundredth of their speed. So the kernels have the processor read and write zeros instead, as
`torch.set_flush_denormal(True)` does, but only while they run, and in each of their threads.
Normal numbers, and so the sums and averages that matter, keep every bit.

Other processors compute with denormals at full speed or nearly so; there they stay. So they do in
the kernels of update rules on a GPU, while CuPy compiles its own float32 kernels, of all other
operations, to flush them to zero (`-ftz=true`); float64 keeps them there as well.
"""

from __future__ import annotations

import platform

X86 = platform.machine().lower() in ("x86_64", "amd64")

# What a kernel does before its loop and after it. 0x9FC0 is MXCSR as a process starts with it
# (0x1F80: all exceptions masked, round to nearest) with
# flush-to-zero (0x8000) and denormals-are-zero (0x0040).
ENTER = "{mode} = exchange_mode(uint32(0x9FC0))  # denormals count as zero: see denormals.py"
LEAVE = "exchange_mode({mode})"
if not X86:
    ENTER, LEAVE = "# Denormals stay: see denormals.py.", "# No mode to restore."

# Part of a kernel's text, for the reasons given in `codegen`.
PRELUDE = """\
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def exchange_mode(typing, word):
    # Put `word` into MXCSR, the processor's floating-point mode; return what it held.
    def generate(context, builder, signature, arguments):
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer])
        before, after = (cgutils.alloca_once(builder, ir.IntType(32)) for _ in range(2))
        builder.store(arguments[0], after)
        for name, place in (("st", before), ("ld", after)):
            instruction = cgutils.get_or_insert_function(
                builder.module, kind, f"llvm.x86.sse.{name}mxcsr"
            )
            builder.call(instruction, [builder.bitcast(place, pointer)])
        return builder.load(before)

    return types.uint32(types.uint32), generate


"""
