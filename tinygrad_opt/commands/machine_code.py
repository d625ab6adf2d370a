"""The hot loop in a kernel's assembly: where it stands, and what it does in one turn."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["HotLoop", "declared_registers", "hot_loop", "marked"]

_LABEL = re.compile(r"^(\.?L\w+):")
_JUMP = re.compile(r"^\s+(?:j\w+|b\.?\w*|cbn?z|tbn?z)\s+(?:.*,\s*)?(\.?L\w+)\s*$")
_INSTRUCTION = re.compile(r"^\s+([a-z]\w*)")
# Bits of a register by how processors call it: AVX-512, AVX and SSE of x86, NEON of ARM.
_WIDTHS = (("zmm", 512), ("ymm", 256), ("xmm", 128))
_PACKED = re.compile(r"^\s+v?\w+p[sd]\s|\sv\d+\.(?:4s|2d)")


class HotLoop(NamedTuple):
    """A loop that computes on several numbers at once.

    Attributes:
        first: the line of its label, counted from 0.
        last: the line of the jump back.
        instructions: how many one turn takes.
        bits: of the widest register that it computes with.
    """

    first: int
    last: int
    instructions: int
    bits: int


def hot_loop(assembly: str) -> HotLoop | None:
    """The innermost loop with the most packed arithmetic; None if nothing is packed.

    Reads the assembly that LLVM writes for x86 and for 64-bit ARM.
    """
    lines = assembly.splitlines()
    labels: dict[str, int] = {}
    loops = []
    for i, line in enumerate(lines):
        if label := _LABEL.match(line):
            labels[label[1]] = i
        elif (jump := _JUMP.match(line)) and jump[1] in labels:
            loops.append((labels[jump[1]], i))
    around = {x for x in loops for y in loops if x != y and x[0] <= y[0] and y[1] <= x[1]}
    innermost = [x for x in loops if x not in around]
    best, most = None, 0
    for a, b in innermost:
        body = lines[a : b + 1]
        packed = [line for line in body if _PACKED.search(line)]
        if len(packed) > most:
            most, count = len(packed), sum(bool(_INSTRUCTION.match(line)) for line in body)
            best = HotLoop(a, b, count, _bits(packed))
    return best


def marked(assembly: str) -> str:
    """The assembly with a bar beside the hot loop, and above it what it is."""
    found, lines = hot_loop(assembly), assembly.splitlines()
    if found is None:
        return "; no loop of packed arithmetic\n" + assembly
    bars = [f"{'|' if found.first <= i <= found.last else ' '} {x}" for i, x in enumerate(lines)]
    bars.insert(
        found.first,
        f"; the hot loop: {found.instructions} instructions a turn, registers of {found.bits} bits",
    )
    return "\n".join(bars)


def declared_registers(ptx: str) -> str:
    """The virtual registers of PTX by type, as in "31 f32, 12 b64"; the GPU's own are fewer."""
    found = re.findall(r"\.reg \.(\w+)\s+%\w+<(\d+)>", ptx)
    return ", ".join(f"{int(count) - 1} {kind}" for kind, count in found)


def _bits(packed: list[str]) -> int:
    text = "\n".join(packed)
    return next((bits for name, bits in _WIDTHS if name in text), 128)
