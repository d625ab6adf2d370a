"""Examples for names whose docstring has none: called while the site is built, and shown.

Each is a call on small tensors, the first of a few that works and says something; what is shown is
what came out. Functions that draw random numbers, or whose results differ each time, have none.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator
from typing import Any

import class_samples
import highlight
from rooms import Entry, names_in

import tinygrad_opt

ROOMS = {"tensor", "functions", "linalg", "fft", "special", "functional", "inplace"}
RANDOM = re.compile(
    r"rand|drop|bernoulli|multinomial|normal_?$|poisson|uniform|exponential|cauchy|geometric|rrelu|"
    r"gumbel|fractional|empty|data_ptr|storage|numpy|share|memory|_version|register|hook|lowrank"
)
LINES, WIDTH = 8, 80

# What is tried for the first tensor, and for the others beside it.
VECTORS = [
    ("[-1.0, 0.5, 2.0]", "[2.0, 3.0, -1.0]"),
    ("[0.25, 0.5, 0.75]", "[1.0, 2.0, 3.0]"),
    ("[1, 2, 4]", "[3, 1, 2]"),
    ("[True, False, True]", "[True, True, False]"),
    ("[1 + 2j, 3 - 1j]", "[1j, 2 + 0j]"),
]
MATRICES = [
    ("[[2.0, 1.0], [1.0, 3.0]]", "[[1.0, 0.0], [2.0, 1.0]]"),
    ("[[1, 2], [3, 4]]", "[[0, 1], [1, 0]]"),
    ("[[2.0, 1.0], [1.0, 3.0]]", "[1.0, -1.0]"),
]
IMAGES = [("[[[1.0, 3.0, 2.0, 4.0]]]", "[[[1.0, -1.0]]]"),
          ("[[[[1.0, 2.0], [3.0, 4.0]]]]", "[[[[1.0]]]]"),
          ("[[[[[1.0, 2.0], [3.0, 4.0]]]]]", "[[[[[1.0]]]]]")]  # fmt: skip
# What other arguments are, by name.
PLAIN = {
    "dim": "0", "dim0": "0", "dim1": "1", "axis0": "0", "axis1": "1", "dims": "(0,)", "chunks": "2",
    "n": "2", "k": "1", "p": "2", "exponent": "2", "kernel_size": "2", "groups": "1",
    "num_classes": "5", "value": "0.5", "split_size": "1", "shifts": "1", "repeats": "2",
    "size": "(1, 3)", "shape": "(1, 3)", "sizes": "(1, 3)", "output_size": "1", "lambd": "0.5",
    "threshold": "1.0", "diagonal": "0", "offset": "0", "indices": "1", "sections": "1",
    "upscale_factor": "1", "downscale_factor": "1", "negative_slope": "0.1", "weight": "2.0",
    "source": "0", "destination": "0", "start": "0", "length": "2", "normalized_shape": "(3,)",
    "q": "0.5", "pad": "(1, 1)", "fill_value": "0.5", "num_groups": "1", "maxnorm": "1.0",
    "num": "2", "split_sizes": "[1, 2]", "dtype": "int64", "decimals": "1", "reps": "2",
    "scale_factor": "2", "test_elements": "[1, 2]", "mode": "'mean'", "size_or_sections": "1",
    "split_size_or_sections": "1", "indices_or_sections": "1", "type": "int64", "min": "0.0",
    "max": "1.0",
}  # fmt: skip
TENSORS = {
    "index": ["[0, 2]", "[0, 1]", "[[0, 1], [1, 0]]"], "mask": ["[True, False, True]"],
    "indices": ["[0, 2]"], "target": ["[1.0, 1.0, 0.0]", "[1, 0]"],
    "condition": ["[True, False, True]"],
    "boundaries": ["[0.0, 1.0]"], "weight": ["[[1.0, 2.0, 3.0]]"],
}  # fmt: skip

V, M = "x = tensor([-1.0, 0.5, 2.0])", "x = tensor([[2.0, 1.0], [1.0, 3.0]])"
BATCHES = "x, y = ones(2, 1, 3), ones(2, 3, 1)"
# Where a good example is not to be guessed: what makes the arguments, and those behind the first.
HAND = {
    "softmax": (V, "0"), "log_softmax": (V, "0"), "softmin": (V, "0"), "clamp": (V, "0.0, 1.0"),
    "clip": (V, "0.0, 1.0"), "masked_fill": (V, "x < 0.0, 0.0"), "select": (M, "0, 1"),
    "index_add": (V, "0, tensor([0, 2]), tensor([1.0, 1.0])"), "view": (M, "4"),
    "index_copy": (V, "0, tensor([0, 2]), tensor([7.0, 9.0])"), "unfold": (V, "0, 2, 1"),
    "index_put": (V, "(tensor([0, 2]),), tensor([7.0, 9.0])"), "tile": (V, "(2,)"),
    "index_reduce": (V, "0, tensor([0, 2]), tensor([7.0, 9.0]), 'prod'"),
    "item": ("x = tensor(2.5)", ""),
    "scatter_reduce": (V, "0, tensor([0, 0, 1]), tensor([1.0, 2.0, 3.0]), 'sum'"),
    "select_scatter": (M, "tensor([7.0, 9.0]), 0, 1"),
    "tensor_split": (V, "3"), "bmm": (BATCHES, "y"),
    "hsplit": (M, "2"), "vsplit": (M, "2"), "is_nonzero": ("x = tensor(0.0)", ""),
    "as_strided": (V, "(2, 2), (1, 1)"), "is_tensor": (V, ""), "block_diag": (M, "tensor([[7.0]])"),
    "cartesian_prod": ("x = tensor([1, 2])", "tensor([3, 4])"), "repeat_interleave": (V, "2"),
    "histogram": (V, "2"), "addmv": ("x = zeros(2)", "tensor([[2.0, 1.0], [1.0, 3.0]]), ones(2)"),
    "normalize": ("x = tensor([[3.0, 4.0]])", ""), "sum_to_size": (M, "1, 2"),
    "nll_loss": ("x = tensor([[-0.5, -1.0], [-2.0, -0.1]])", "tensor([0, 1])"),
    "kl_div": ("x = tensor([-0.5, -1.0])", "tensor([0.5, 0.5]), reduction='sum'"),
    "embedding": ("x = tensor([0, 2])", "tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])"),
    "interpolate": ("x = tensor([[[1.0, 2.0]]])", "scale_factor=2.0"),
    "prelu": (V, "tensor([0.1])"), "chain_matmul": (M, "x, x"),
    "imag": ("x = tensor([1 + 2j])", ""),
    "conv1d": ("x = tensor([[[1.0, 3.0, 2.0, 4.0]]])", "tensor([[[1.0, -1.0]]])"),
    "conv2d": ("x = ones(1, 1, 3, 3)", "ones(1, 1, 2, 2)"),
    "conv3d": ("x = ones(1, 1, 2, 2, 2)", "ones(1, 1, 2, 2, 2)"),
    "conv_transpose1d": ("x = tensor([[[1.0, 2.0]]])", "tensor([[[1.0, -1.0]]])"),
    "conv_transpose2d": ("x = ones(1, 1, 1, 1)", "ones(1, 1, 2, 2)"), "lerp": (V, "x + 1.0, 0.5"),
    "mvlgamma": ("x = tensor([2.0, 3.0])", "2"), "solve_triangular": (M, "ones(2, 1), upper=False"),
}  # fmt: skip


class Samples:
    """Finds a call of a function that works on small tensors, and what comes out."""

    def __init__(self) -> None:
        self.names = names_in(tinygrad_opt)

    def html(self, entry: Entry, owner: type | None) -> str:
        """The example, "" where none was found."""
        if inspect.isclass(entry.value):
            tried = class_samples.calls(entry.value, entry.short)
        elif entry.room.slug not in ROOMS or RANDOM.search(entry.full.rsplit(".", 1)[-1]):
            return ""
        else:
            tried = self.calls(entry, owner)
        for lines, call in tried:
            shown = self.outcome(lines, call)
            if shown:
                typed = "".join(
                    ">>> {}\n".format(x.replace("\n", "\n... ")) for x in [*lines, call]
                )
                return f'<div class="example">{highlight.block(typed + shown, "pycon")}</div>'
        return ""

    def calls(self, entry: Entry, owner: type | None) -> Iterator[tuple[list[str], str]]:
        """(lines that make the arguments, the call) in the order in which they are tried."""
        name = entry.full.rsplit(".", 1)[-1]
        head = f"x.{name}(" if owner is not None else f"{entry.short}(x"
        if name.rstrip("_") in HAND and not isinstance(entry.value, property):
            line, more = HAND[name.rstrip("_")]
            yield [line], head + (", " if more and owner is None else "") + more + ")"
            return
        if isinstance(entry.value, property):
            yield from ((["x = tensor([[2.0, 1.0], [1.0, 3.0]])"], f"x.{name}"),)
            return
        try:
            parameters = list(inspect.signature(entry.value).parameters.values())
        except (TypeError, ValueError):
            return
        method = owner is not None
        needed = [p for p in parameters if p.default is p.empty and p.kind != p.VAR_KEYWORD]
        needed = needed[1:] if method else needed
        wide = any(p.name in ("dim", "dim0", "mat2", "vec") for p in parameters)
        pairs = MATRICES + VECTORS if wide or entry.room.slug == "linalg" else VECTORS + MATRICES
        for first, second in pairs + IMAGES:
            given = self.arguments(needed, first, second, method)
            if given is not None:
                lines, arguments = given
                head = f"x.{name}" if method else entry.short
                yield lines, f"{head}({', '.join(arguments)})"

    def arguments(
        self, needed: list[inspect.Parameter], first: str, second: str, method: bool
    ) -> tuple[list[str], list[str]] | None:
        """(lines, arguments) for the parameters that have no default; None if one is unknown."""
        lines = [f"x = tensor({first})"] if method else []
        arguments = []
        free = iter("yzuvw")
        for p in needed:
            note = p.annotation if isinstance(p.annotation, str) else ""
            if p.kind is p.VAR_POSITIONAL and p.name not in PLAIN:
                continue
            if p.name in TENSORS and "Tensor" in note:
                letter = next(free)
                rank = "[[" if first.startswith("[[") else "["
                fitting = [t for t in TENSORS[p.name] if t.startswith(rank)] or TENSORS[p.name]
                lines.append(f"{letter} = tensor({fitting[0]})")
                arguments.append(letter)
            elif not lines and (p.name == "input" or "Tensor" in note or not note):
                lines.append(f"x = tensor({first})")
                arguments.append("[x, x]" if "Sequence" in note or note == "Tensors" else "x")
            elif p.name in PLAIN and "Tensor" not in note.split("|")[0]:
                arguments.append(PLAIN[p.name])
            elif "Tensor" in note or not note or p.name in ("other", "mat2", "vec", "vec2"):
                letter = next(free, "")
                if not letter:
                    return None
                lines.append(f"{letter} = tensor({second})")
                arguments.append(letter)
            else:
                return None
        return lines, arguments

    def outcome(self, lines: list[str], call: str) -> str:
        """What the call shows, twice the same; "" where it fails, or shows nothing of use."""
        first, again = self.run(lines, call), self.run(lines, call)
        return first if first == again else ""

    def run(self, lines: list[str], call: str) -> str:
        space: dict[str, Any] = dict(self.names)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                exec("\n".join(lines), space)
                shown = repr(eval(call, space))
        except Exception:  # it is one of several tries
            return ""
        rows = shown.splitlines()
        useless = re.search(
            r"\b(?:nan|inf)\b| at 0x|^None$|<(?!Graph)|size=\(0|tensor\(\[\]", shown
        )
        if useless or len(rows) > LINES or max(map(len, rows), default=99) > WIDTH:
            return ""
        return shown
