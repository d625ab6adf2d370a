"""The part of a kernel's text that turns random words into numbers with the same bits everywhere.

Plain arithmetic alone: sums, products, quotients and roots, which IEEE 754 rounds in one way. The
logarithm is no function of a library, and on a GPU a product is a call (`product`), for the
compiler there joins a product and a sum into one rounding, which the CPU's does not.
"""

from __future__ import annotations

import ast

from ..functions.constants import FLOAT32, FLOAT64, Constants
from .draws import sine_of_turn
from .lower import lower
from .syntax import parse_element
from .trees import tree_of

__all__ = ["log_lines", "normal_lines", "portable"]

_BITS = {"float32": (32, 23, 127, 0x3F3504F3), "float64": (64, 52, 1023, 0x3FE6A09E667F3BCD)}


def log_lines(target: str, x: str, dtype: str, on_device: bool) -> list[str]:
    """Return lines that assign log(x) to `target`, of a normal number x above 0.

    x = 2^k m with m from sqrt(1/2) to sqrt(2), log(m) = 2 artanh(f / (2 + f)) with f = m - 1, as
    in `kernels/functions/formulas.py`, with the same constants; there with fused products.
    """
    width, mantissa, offset, root = _BITS[dtype]
    c: Constants = FLOAT32 if dtype == "float32" else FLOAT64
    read, back = f"{dtype}({x}).view(uint{width})", f"uint{width}({{}}).view({dtype})"
    if on_device:
        read = f"float_as_bits({x})"
        back = f"bits_as_float(uint{width}({{}}))"
    moved, k, f, s, z, w = (f"{target}_{name}" for name in "bkfszw")
    rest = f"({moved} & uint64({(1 << mantissa) - 1:#x})) + uint64({root:#x})"
    first, *others = c.logarithm
    lines = [
        f"{moved} = uint64({read}) + uint64({(offset << mantissa) - root:#x})",
        f"{k} = {dtype}(uint32({moved} >> uint64({mantissa}))) - {dtype}({float(offset)!r})",
        f"{f} = {back.format(rest)} - {dtype}(1.0)",
        f"{s} = {f} / ({dtype}(2.0) + {f})",
        f"{z} = {s} * {s}",
        f"{w} = {dtype}({first!r})",
        *[f"{w} = {w} * {z} + {dtype}({number!r})" for number in others],
        f"{w} = {w} * {z}",
        f"{z} = {dtype}(0.5) * {f} * {f}",
        f"{w} = {s} * ({z} + {w}) + {k} * {dtype}({c.ln2[1]!r})",
        f"{target} = {k} * {dtype}({c.ln2[0]!r}) + ({f} - ({z} - {w}))",
    ]
    return [portable(line, on_device) for line in lines]


def normal_lines(
    targets: tuple[str, str], radius: str, angle: str, dtype: str, on_device: bool
) -> list[str]:
    """Return lines that assign two normal numbers, by Box & Muller 1958, from two uniform ones.

    sqrt(-2 log(radius)) times the cosine and minus the sine of 2 pi angle.

    radius, angle: variables, in (0, 1] and [0, 1).
    """
    first, second = targets
    near = f"{second}_near"
    lines = [
        *log_lines(first, radius, dtype, on_device),
        f"{first} = -{dtype}(math.sqrt({dtype}(-2.0) * {first}))",
    ]
    # The second is the cosine a quarter turn on, minus the sine; moved so that nothing is rounded.
    lines.append(
        f"{near} = {angle} + {dtype}(0.25) if {angle} < {dtype}(0.75) else {angle} - {dtype}(0.75)"
    )
    for at, to in ((near, second), (angle, f"{first}_cosine")):
        lines += _sine(f"{dtype}(0.25) - abs({at} - {dtype}(0.5))", to, dtype)
    lines += [
        f"{second} = {first} * {second}",
        f"{first} = {first} * {first}_cosine",
    ]
    return [portable(line, on_device) for line in lines]


def _sine(turn: str, target: str, dtype: str) -> list[str]:
    """Lines that assign sin(2 pi turn), |turn| <= 1/4."""
    lowered = lower(parse_element(sine_of_turn, "sine_of_turn"), dtype)
    names = {name: f"{target}_{name}" for name in lowered.names.values()}
    text = "\n".join([*lowered.lines, f"result = {lowered.outputs[0]}"])
    names["result"] = target
    tree = tree_of(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            node.id = names[node.id]
    return [f"{target}_turn = {turn}", *ast.unparse(tree).splitlines()]


class _Products(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Mult):
            return node
        return ast.Call(ast.Name("product", ast.Load()), [node.left, node.right], [])


def portable(line: str, on_device: bool) -> str:
    """Return a line of arithmetic on floats, for a GPU with calls for its products."""
    if not on_device:
        return line
    return ast.unparse(ast.fix_missing_locations(_Products().visit(tree_of(line))))
