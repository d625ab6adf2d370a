"""The kernel texts: a rule's lines, inlined in a serial, a parallel or a CUDA loop.

Text and not closures, because a jitted function that captures another one never hits Numba's disk
cache, and one that lives in another file is no part of the cache key (stale machine code after an
edit). A self-contained text has neither fault, compiles to PTX without a GPU, and can be read. What
a text imports from `kernels.functions` is part of the key: see `cache`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Literal

from . import denormals, draws, words
from .cost import cost_of_part
from .lower import Lowered, fresh, lower
from .syntax import Rule
from .vocabulary import RESERVED, ROUNDING

Target = Literal["plain", "serial", "parallel", "parts", "cuda", "graph"]

CHUNK = 16_384  # elements of a part: what a thread updates at a time, within its first two caches

_SERIAL = """\
# Written by tinygrad_opt.kernels from the update rule {origin}; change the rule, not this.
import math

from tinygrad_opt.kernels.direct import njit
from numpy import {imported}
{functions}
{prelude}
@njit(
{signature}
    error_model="numpy",  # 1/0 is inf, not an exception: a check would keep SIMD away
    nogil=True, no_cfunc_wrapper=True, cache={cache},
)
def {function}({parameters}):
    if not {sizes}:
        raise ValueError("sizes differ")  # or the loop would write past an array's end
    {enter}
    for {i} in range({first}.shape[0]):
{body}
    {leave}
"""

# The floating-point mode belongs to a thread, so each part sets and restores it.
_PARALLEL = """\
# Written by tinygrad_opt.kernels from the update rule {origin}; change the rule, not this.
import math

from tinygrad_opt.kernels.direct import njit
from numpy import {imported}
{functions}
from tinygrad_opt.kernels.pool import even, share

{prelude}
@njit(error_model="numpy", nogil=True)  # 1/0 is inf, not an exception
def {part}({begin}, {end}, {parameters}):
{slices}
    {enter}
    for {i} in range({first}.shape[0]):
{body}
    {leave}


@njit(
{signature}
    error_model="numpy",
    nogil=True, no_cfunc_wrapper=True, cache={cache},
)
def {function}({parameters}):
    if not {sizes}:
        raise ValueError("sizes differ")  # or the loop would write past an array's end
    share({part}, {first}.shape[0], even({first}.shape[0], {chunk}), {cost}, {parameters})
"""

# Coefficients that differ from part to part of the vectors: a row of the table for each part. What
# a thread takes, from `begin` to `end`, may be a piece of a part, or several.
_PARTS = """\
# Written by tinygrad_opt.kernels from the update rule {origin}; change the rule, not this.
import math

from tinygrad_opt.kernels.direct import njit
from numpy import {imported}

from tinygrad_opt.kernels.pool import share

{prelude}
@njit(error_model="numpy", nogil=True)  # 1/0 is inf, not an exception
def {update}({parameters}):
    for {i} in range({first}.shape[0]):
{body}


@njit(error_model="numpy", nogil=True)
def {part}({begin}, {end}, {bounds}, {table}, {arrays}):
    {enter}
    {k} = 0
    while {begin} < {end}:
        {stop} = min({bounds}[{k} + 1], {end})
        if {begin} < {stop}:
            {update}(
{piece}
            )
            {begin} = {stop}
        {k} += 1
    {leave}


@njit(
{signature}
    error_model="numpy",
    nogil=True, no_cfunc_wrapper=True, cache={cache},
)
def {function}({arrays}, {bounds}, {table}, {grain}):
    if not {sizes}:
        raise ValueError("sizes differ")  # or the loop would write past an array's end
    if {bounds}.shape[0] != {table}.shape[0] + 1 or {table}.shape[1] != {count}:
        raise ValueError("sizes differ")
    for {k} in range({table}.shape[0]):
        if {bounds}[{k}] > {bounds}[{k} + 1]:
            raise ValueError("sizes differ")
    if {bounds}[0] != 0 or {bounds}[-1] != {first}.shape[0]:
        raise ValueError("sizes differ")
    share({part}, {first}.shape[0], {grain}, {cost}, {bounds}, {table}, {arrays})
"""

# The index is unsigned, so that no array access tests for a negative one: with a signed index that
# test and its arithmetic were most of the loop's instructions.
#
# A block goes through tiles of several elements for each thread. All loads of a thread's elements
# come before its first store: then enough bytes are on their way to keep the memory busy. Threads
# next to each other take elements next to each other, so every access is of whole lines.
_CUDA = """\
# Written by tinygrad_opt.kernels from the update rule {origin}; change the rule, not this.
import math

from numba import cuda
from numpy import {imported}
{device}

@cuda.jit(cache={cache})
def {function}({parameters}):
{loaded}    {size} = uint64({first}.shape[0])
    {threads} = uint64(cuda.blockDim.x)
    {i} = uint64(cuda.blockIdx.x) * (uint64({ahead}) * {threads}) + uint64(cuda.threadIdx.x)
    {step} = uint64(cuda.gridDim.x) * (uint64({ahead}) * {threads})
    while {i} + uint64({ahead} - 1) * {threads} < {size}:
{tile}
        {i} += {step}
    while {i} < {size}:  # the rest of the last tile: fewer elements for this thread
{body}
        {i} += {threads}
"""


# Over pointers, for the files of compiled steps, which import what it needs: see `kernels.plain`.
_PLAIN = """\
# From the update rule {origin}.
from numpy import {imported}
{functions}

@plain(
{signature}    exact=True,
)
def {function}({begin}, {end}, {parameters}):
    {enter}
    for {i} in range({begin}, {end}):
{body}
    {leave}
"""

_TEXTS = {
    "plain": _PLAIN, "serial": _SERIAL, "parallel": _PARALLEL, "parts": _PARTS, "cuda": _CUDA,
    "graph": _CUDA,
}  # fmt: skip


def ahead(dtype: str) -> int:
    """Return how many elements a thread of a GPU loads at a time: 16 bytes of each array."""
    return 4 if dtype == "float32" else 2


def functions_import(lines: Sequence[str]) -> str:
    """Return the lines that import the vectorised functions which `lines` call, or nothing."""
    text, found = "\n".join(lines), ""
    names = sorted(set(re.findall(r"\bvector_(\w+)\(", text)))
    own = [name for name in names if name in ROUNDING]
    for room, wanted in (("", [n for n in names if n not in own]), (".primitives", own)):
        if wanted:
            imported = ", ".join(f"{name} as vector_{name}" for name in wanted)
            found += f"\nfrom tinygrad_opt.kernels.functions{room} import {imported}\n"
    return found


def _device_import(lines: Sequence[str], dtype: str, narrow: bool) -> str:
    """Return the line that imports what a kernel for CUDA takes from `compiler.cuda`."""
    names = sorted(set(re.findall(r"\bdevice_(\w+)\(", "\n".join(lines))))
    single = "f" if dtype == "float32" else ""
    taken = [f"{name}{single} as device_{name}" for name in names]
    taken += words.ON_DEVICE if narrow else []
    if not taken:
        return ""
    return f"\nfrom tinygrad_opt.kernels.compiler.cuda import {', '.join(taken)}\n"


def function_name(rule: Rule, target: Target, narrow: bool = False) -> str:
    """Return the name of the function in the text, and of its file: `adam_parallel`."""
    return f"{rule.name}_bfloat16_{target}" if narrow else f"{rule.name}_{target}"


def render(rule: Rule, target: Target, dtype: str, cache: bool = True, narrow: bool = False) -> str:
    """Return the whole text of one kernel; `dtype` is "float32" or "float64".

    The kernel takes one array per parameter, gradient and state, then the coefficients. `cache`
    asks Numba for its disk cache, which needs the text to lie in a file. `narrow`: the states are
    bfloat16 words, and after the coefficients come a key and the place of the first element. Of a
    rule that draws come the seed, in two halves, the step and the place of the first element.

    The kernel for a "graph" is that for "cuda", which reads all these numbers from memory: a vector
    of coefficients, and one of uint64 for the rest. A launch that is replayed has new ones there.
    """
    on_device = target in ("cuda", "graph")
    lowered = lower(rule, dtype, on_device)
    taken = rule.variables | set(lowered.names.values()) | RESERVED

    def new(name: str) -> str:
        name = fresh(name, taken)
        taken.add(name)
        return name

    index, size, step, mode, threads = map(new, ("i", "size", "step", "mode", "threads"))
    part, begin, end, update = map(new, ("part", "begin", "end", "update"))
    bounds, table, grain, stop, which = map(new, ("bounds", "table", "grain", "stop", "k"))
    key, origin, mixed = map(new, ("key", "origin", "mixed"))
    counter = [new(name) for name in ("seed_low", "seed_high", "step_number")]
    random = [new("random"), new("up")]
    elements = rule.arguments[: 2 + len(rule.states)]
    array = {name: new(f"{name}_array") for name in elements}
    # What a rule assigns must not outlive the element: it gets its own copy of such a coefficient.
    changed = [name for name in rule.coefficients if name in rule.assigned]
    given = lowered.names | {name: new(f"{name}_given") for name in changed}
    written = (rule.arguments[0], *rule.states)
    lines = [f"{lowered.names[name]} = {given[name]}" for name in changed] + list(lowered.lines)
    if not all(_is_name(text) for text in lowered.outputs):
        # Values first, stores after: an expression must not see an array that is half written.
        results = [new(f"new_{name}") for name in written]
        lines += [f"{r} = {text}" for r, text in zip(results, lowered.outputs, strict=True)]
    else:
        results = list(lowered.outputs)

    def read(name: str, value: str) -> str:
        return words.load(value, on_device) if narrow and name in rule.states else value

    def stores(place: str) -> list[str]:
        targets = [f"{array[n]}[{place}]" for n in written]
        if not narrow:
            return [f"{t} = {r}" for t, r in zip(targets, results, strict=True)]
        bits = words.mixed(f"{origin} + {place}") if on_device else mixed
        rounded = words.stores(targets[1:], results[1:], bits, key, random, on_device)
        rounded += [] if on_device else [words.following(mixed)]
        return [f"{targets[0]} = {results[0]}", *rounded]

    def drawn(place: str) -> list[str]:
        return _drawn(lowered, dtype, f"{origin} + {place}", counter, spare) if rule.draws else []

    spare = [new(name) for name in ("w", "x", "y", "z", "k", "l", "r", "s", "t")]
    first, rest = [], []  # of a tile: its loads, then the update of each of its elements
    for k in range(ahead(dtype) if on_device else 0):
        place = f"{index} + uint64({k}) * {threads}"
        loaded = {name: new(f"{name}_{k}") for name in elements}
        first += [f"{loaded[name]} = {array[name]}[{place}]" for name in elements]
        rest += [f"{lowered.names[name]} = {read(name, loaded[name])}" for name in elements]
        rest += drawn(place) + lines + stores(place)
    body = [f"{lowered.names[n]} = {read(n, f'{array[n]}[{index}]')}" for n in elements]
    body += drawn(index) + lines + stores(index)

    scalars = [given[name] for name in rule.coefficients] + ([key, origin] if narrow else [])
    scalars += [*counter, origin] if rule.draws else []
    header = ""
    if target == "graph":
        own, others = len(rule.coefficients), new("whole")
        from_table = [f"{name} = {table}[{k}]" for k, name in enumerate(scalars[:own])]
        whole = [f"{name} = {others}[{k}]" for k, name in enumerate(scalars[own:])]
        header = "".join(f"    {line}\n" for line in from_table + whole)
        scalars = [table, others] if whole else [table]
    slices = [f"    {name} = {name}[{begin}:{end}]" for name in array.values()]
    slices += [f"    {origin} += {begin}"] if narrow or rule.draws else []
    prelude, enter = denormals.PRELUDE * denormals.X86, denormals.ENTER.format(mode=mode)
    enter += f"\n    {mixed} = {words.mixed(origin)}" if narrow and not on_device else ""
    if (narrow or rule.draws) and target in ("serial", "parallel"):  # arithmetic takes the time
        prelude = f"from tinygrad_opt.kernels.compiler.lanes import all_lanes\n{prelude}"
        enter = f"all_lanes()\n    {enter}"
    return _TEXTS[target].format(
        origin=rule.origin,
        imported=_imported(dtype, target, narrow, bool(rule.draws)),
        device=_device_import(lines, dtype, narrow),
        signature=_signature(dtype, rule, target, narrow),
        cache=cache,
        functions=functions_import(lines),
        prelude=prelude,
        function=function_name(rule, target, narrow),
        parameters=", ".join([*array.values(), *scalars]),
        loaded=header,
        enter=enter,
        leave=denormals.LEAVE.format(mode=mode),
        i=index,
        size=size,
        sizes=" == ".join(f"{name}.shape[0]" for name in array.values()),
        step=step,
        threads=threads,
        ahead=ahead(dtype),
        tile=_indented(first + rest),
        chunk=CHUNK,
        cost=cost_of_part(rule, dtype, CHUNK, narrow),
        first=array[rule.arguments[0]],
        part=part,
        begin=begin,
        end=end,
        slices="\n".join(slices),
        body=_indented(body),
        update=update,
        bounds=bounds,
        table=table,
        grain=grain,
        stop=stop,
        k=which,
        count=len(rule.coefficients),
        arrays=", ".join(array.values()),
        piece="\n".join(
            [f"{' ' * 16}{name}[{begin}:{stop}]," for name in array.values()]
            + [f"{' ' * 16}{table}[{which}, {j}]," for j in range(len(rule.coefficients))]
        ),
    )


def _drawn(
    lowered: Lowered, dtype: str, place: str, counter: Sequence[str], spare: Sequence[str]
) -> list[str]:
    """Return the lines that draw a rule's random arguments for the element at `place`.

    counter: variables with the seed, in two halves, and the step.  spare: nine fresh ones.
    """
    random, keys, others = spare[:4], spare[4:6], spare[6:]
    a, b, c, d = random
    found = []
    for number, targets in enumerate(lowered.uniforms):
        found += [
            f"{a} = uint64({place}) & {draws.MASK}",
            f"{b} = uint64({place}) >> uint64(32)",
            f"{c} = uint64({counter[2]})",
            f"{d} = uint64({number})",
            f"{keys[0]} = uint64({counter[0]})",
            f"{keys[1]} = uint64({counter[1]})",
            *draws.rounds(random, keys, others),
        ]
        left = list(random)
        for k, target in enumerate(targets):
            text, count = draws.uniform(left, dtype, open_=k == 0 and len(targets) > 1)
            found.append(f"{target} = {text}")
            del left[:count]
    return found


def _imported(dtype: str, target: Target, narrow: bool, draws: bool) -> str:
    """Return the names of types in a text."""
    if narrow:
        return words.TYPES
    if draws:
        return f"{dtype}, uint32, uint64"
    return f"{dtype}, {'uint64' if target in ('cuda', 'graph') else 'uint32'}"


def _signature(dtype: str, rule: Rule, target: Target, narrow: bool) -> str:
    """Return `"void(float32[::1], float32)",` in lines of at most 100 columns."""
    # The C-contiguous `::1` lets the compiler load and store whole SIMD registers.
    rest = [dtype] * len(rule.coefficients) + (["uint32", "int64"] if narrow else [])
    rest += ["int64"] * 4 if rule.draws else []
    if target == "parts":
        rest = ["int64[::1]", f"{dtype}[:, ::1]", "int64"]
    if target == "plain":
        kind = {"float32": "f4", "float64": "f8"}[dtype]
        kinds = ["i8"] * 2 + [f"p_{kind}"] * (2 + len(rule.states))
        kinds += [kind] * len(rule.coefficients) + ["f8"] * (4 if rule.draws else 0)
        return "".join(f"    {line}\n" for line in textwrap.wrap(f"{', '.join(kinds)},", 90))
    state = "uint16" if narrow else dtype
    arrays = [dtype, dtype] + [state] * len(rule.states)
    types = ", ".join([f"{element}[::1]" for element in arrays] + rest)
    lines = textwrap.wrap(f"void({types})", 90)
    return "\n".join(f'    "{line} "' for line in lines).removesuffix(' "') + '",'


def _indented(lines: list[str]) -> str:
    return "\n".join(f"        {line}" for line in lines)


def _is_name(text: str) -> bool:
    return text.isidentifier()
