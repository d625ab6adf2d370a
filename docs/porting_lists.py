"""The lists of from_pytorch.md: what there is of PyTorch's names, and what there is not.

`make_pages.py` puts them into the page. They come from `tinygrad_opt/porting/pytorch_names.py`,
which holds PyTorch's public names by place, and from what the package has.
"""

from __future__ import annotations

import importlib
import re
import textwrap

from tinygrad_opt.porting import instead
from tinygrad_opt.porting.pytorch_names import NAMES

START, END = "<!-- lists: made by docs/make_pages.py -->", "<!-- end of the lists -->"

# What PyTorch's modules have for themselves: its compiler's types, kernels by maker, helpers.
INTERNAL = re.compile(
    r"^[A-Z]\w*(Type|Module|Function|Storage\w*|Ptr|Graph|State|Key\w*|Class|Iterator|Object\w*|"
    r"Exception|Error|Context|Logger\w*|Guard|Stats|Config|Spec|Schema|Report|Plan|Info|Source)$|"
    r"^(Alias|Aggregation|Argument|Await|Benchmark|Block|Call|Capsule|Code|Compil|Complete|Concrete|"
    r"Deep|Device(Obj|Type)|Disable|Dispatch|Event|FileCheck|Future|GraphExec|IODesc|Interface|Lite|"
    r"Lock|Node|Noop|Operator|PRIVATE|Profiler|PyTorch|RRef|SUM|AVG|Script|Serial|Static|Stream|Sym|"
    r"TYPE_|Tag|Throughput|Tracing|Tuple|USE_|Union|Use|Value|Gradient$|Graph$|Type$|Dict|List|Any|"
    r"Number|None)|^(cudnn|miopen|mkldnn|fbgemm|native|quantized|sym|per_|import_ir|parse_|merge_|"
    r"unify|autocast_|clear_auto|set_autocast|is_autocast|get_autocast|has_|is_vulkan|q_|qint|quint|"
    r"bits?\d|u?int[1-7]$|float[48]_|choose_q|fake_q|fused_moving|init_num|handle_torch|assert_int|"
    r"boolean_d|prepare_mult|profiler_allow|\w+_backward\w*$|\w+_copy$)|_(stats|elemt)\w*$"
)


def here(space):
    """The module or class of a place; None where there is none."""
    if space == "Tensor":
        return importlib.import_module("tinygrad_opt").Tensor
    try:
        return importlib.import_module(f"tinygrad_opt.{space}" if space else "tinygrad_opt")
    except ImportError:
        return None


def split(space):
    """(names that there are, names that are missing) of a place; without PyTorch's own affairs."""
    found = here(space)
    names = [n for n in NAMES[space].split() if not INTERNAL.search(n)]
    there = [n for n in names if found is not None and hasattr(found, n)]
    return there, [n for n in names if n not in there]


def table():
    """How many of PyTorch's names there are, by place."""
    lines = ["| place | there | missing |", "| --- | ---: | ---: |"]
    for space in NAMES:
        there, missing = split(space)
        lines.append(f"| `torch{'.' if space else ''}{space}` | {len(there)} | {len(missing)} |")
    return lines


def missing_lists():
    """What is missing, by place, with what to use instead."""
    lines = []
    for space in NAMES:
        _, missing = split(space)
        if not missing:
            continue
        lines += [f"### `torch{'.' if space else ''}{space}`", ""]
        advice: dict[str | None, list[str]] = {}
        for name in missing:
            advice.setdefault(instead.instead(name), []).append(name)
        for text, names in sorted(
            advice.items(), key=lambda item: (item[0] is None, item[0] or "")
        ):
            listed = ", ".join(f"`{name}`" for name in names)
            line = f"- {listed}" + (f": {text}" if text else "")
            lines += textwrap.wrap(line, 110, subsequent_indent="  ", break_on_hyphens=False)
        lines.append("")
    return lines


def page(text):
    """The page with its lists made anew."""
    head, rest = text.split(START)
    _, tail = rest.split(END)
    made = "\n".join([START, "", *table(), "", *missing_lists(), END])
    return head + made + tail
