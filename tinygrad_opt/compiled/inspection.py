"""Looking at a compiled step: what it consists of, its machine code, and where its time goes."""

from __future__ import annotations

from typing import Any

from ..kernels.compiler import cache
from .loops import Loop
from .timing import timed

__all__ = ["asm", "explain", "llvm", "profile"]


def _functions(variant: Any) -> Any:
    """The functions of the file compiled anew: what comes from the disk has no LLVM."""
    return cache.compile_text("steps", variant.text.text.replace("CACHE", "False"))


def llvm(variant: Any) -> str:
    """The optimised LLVM of each part."""
    return "\n".join(t for f in _functions(variant) for t in f.inspect_llvm().values())


def asm(variant: Any) -> str:
    """The assembly of each part."""
    return "\n".join(t for f in _functions(variant) for t in f.inspect_asm().values())


def explain(variant: Any, notes: list[str]) -> str:
    """A report in words."""
    trace, schedule = variant.trace, variant.schedule
    arguments = {number for number, _ in variant.from_leaf}
    lines = [f"{len(arguments)} arguments come with each call."]
    captured = [
        f"{variant.text.name_of(v)} {list(v.shape)} {v.dtype}"
        for v in trace.values
        if v.op == "input"
        and v.number in schedule.live
        and v.number not in arguments
        and not v.is_constant
    ]
    lines += _listed("Captured when it was traced (their memory is read in each call):", captured)
    loops = []
    for group in schedule.groups:
        if isinstance(group, Loop) and group.values:
            shape = f"{group.total} elements"
            if group.inner:
                shape = f"{group.total // group.inner} rows of {group.inner}"
            loops.append(f"over {shape}: {', '.join(v.op for v in group.values)}")
    lines += _listed("Computed together, a loop each:", loops)
    alone: dict[str, int] = {}
    for group in schedule.groups:
        if not isinstance(group, Loop) and group.number not in variant.plan.filled:
            op = group.params["kernel"] if group.op == "launch" else group.op
            alone[op] = alone.get(op, 0) + 1
    kinds = [f"{count} x {op}: {_ALONE.get(op, _KERNEL)}" for op, count in alone.items()]
    lines += _listed("Alone, because they are no loops over single elements:", kinds)
    lines += _listed("Stays in Python:", _python(variant)) or ["Stays in Python: nothing"]
    sizes = [f"{name}: {block.nbytes:,} bytes" for name, block in variant.blocks.items()]
    lines += _listed("Memory of its own, planned once:", sizes)
    lines += _listed("Notes:", notes)
    return "\n".join(lines)


_ALONE = {
    "matmul": "a product of OpenBLAS's",
    "rows": "rows of a table, by index",
    "scatter": "rows added to a table, by index",
    "concatenate": "arrays side by side",
    "put": "an array put into a part of another",
    "boxes": "arrays put into zeros",
    "store": "memory of a tensor from outside",
    "update": "an optimizer's rule, over a flat vector",
    "call": "a call of an eager kernel between two parts",
}

_KERNEL = "the kernel of the eager operation"


def _python(variant: Any) -> list[str]:
    found = [
        f"{g.name}: a call of NumPy's or of an eager kernel{why and f' ({why})'}"
        for g in variant.schedule.groups
        if _is_call(g)
        for why in [g.params["why"]]
    ]
    found += [f"{v.name}: random numbers {list(v.shape)}" for v, _ in variant.trace.draws]
    return found + [effect.text for effect in variant.trace.effects]


def _is_call(group: Any) -> bool:
    return not isinstance(group, Loop) and group.op == "call"


def _listed(title: str, items: list[str]) -> list[str]:
    return [title, *(f"  {item}" for item in items)] if items else []


def profile(variant: Any, leaves: list[Any], calls: int) -> str:
    """A table: least microseconds and share of each line of the generated step."""
    rows = timed(variant, leaves, max(calls, 1))
    total = sum(seconds for seconds, _ in rows)
    lines = [f"{'us':>9}  {'share':>6}  line"]
    for seconds, text in rows:
        lines.append(f"{seconds * 1e6:9.2f}  {seconds / max(total, 1e-12):6.1%}  {text}")
    return "\n".join([*lines, f"{total * 1e6:9.2f}          in all"])
