"""Combinations of types, layouts, empty tensors and in-place writes, as PyTorch takes them.

Rows run in both libraries where PyTorch is installed.
"""

import pytest

import tinygrad_opt as tg


def of(m, values, dtype="float32", **more):
    return m.tensor(values, dtype=getattr(m, dtype), **more)


def leaf(m, *values):
    return m.tensor(values, dtype=m.float64, requires_grad=True)


def write_into_integers(m):
    """What requires a gradient, written where no gradient can be: plain values."""
    x, p = of(m, [5, 6], "int64"), leaf(m, 1.7, 2.2)
    x.copy_(p)
    y, z = of(m, [5, 6], "int64"), of(m, [5, 1], "int8")
    y[0] = p[1]
    z.lt_(p)
    b = of(m, [True, False], "bool")
    b.copy_(p)
    return [x.tolist(), y.tolist(), z.tolist(), b.tolist()]


def fill_what_is_stretched(m):
    base = of(m, [[1.0], [2.0]])
    wide = base.expand(2, 3)
    assert wide.fill_(7) is wide
    filled = [base.tolist(), wide.tolist()]
    wide[0].zero_()
    return [*filled, base.tolist()]


def types_of_joined(m):
    nothing, one = of(m, [], "float64"), of(m, [1.0])
    kinds = [
        m.cat([nothing, one]), m.cat([one, nothing]), m.cat([of(m, [], "int64"), nothing]),
        m.cat([nothing.reshape(0, 1).float(), one.reshape(1, 1)]), m.hstack([one, nothing]),
    ]  # fmt: skip
    return [str(y.dtype).removeprefix("torch.") for y in kinds]


def types_of_next_numbers(m):
    kinds = [
        m.nextafter(of(m, [1.0]), of(m, [2], "int32")),
        m.nextafter(of(m, [1.0]), of(m, 2.0, "float64")),
        m.nextafter(of(m, [1.0]), of(m, [2.0], "float64")),
    ]
    return [str(y.dtype).removeprefix("torch.") for y in kinds]


def complex_powers(m):
    y = m.float_power(of(m, [2], "uint8"), of(m, [1 + 1j], "complex64"))
    return [str(y.dtype).removeprefix("torch."), round(y.imag.item(), 4)]


def norms_of_mixed_types(m):
    f = m.nn.functional
    x = of(m, [[1.0, 2.0]], "float16")
    return [str(f.rms_norm(x, (2,), of(m, [1.0, 1.0], kind)).dtype).removeprefix("torch.")
            for kind in ("float16", "float32", "float64")]  # fmt: skip


def lists_of_places(m):
    x = m.arange(24).reshape(2, 3, 4)
    shapes = [
        x[[[0, 1], [1, 0]]].shape, x[[slice(None), 0]].shape, x[[None, 0]].shape,
        x[[m.tensor([0, 1]), m.tensor([0, 1])]].shape, x[[..., 0]].shape, x[[0, 1]].shape,
        x[[True, False]].shape, x[[[0]] * 33].shape, x[[[0], [1]],].shape,
    ]  # fmt: skip
    y = m.zeros(2, 2)
    y[[[0, 1], [1, 0]]] = 5
    return [[list(shape) for shape in shapes], y.tolist()]


VALUES = [
    (lists_of_places, [[[2, 4], [2, 4], [1, 3, 4], [2, 4], [2, 3], [2, 3, 4], [1, 3, 4],
                        [33, 1, 3, 4], [2, 1, 3, 4]], [[0, 5], [5, 0]]]),
    (write_into_integers, [[1, 2], [2, 6], [0, 1], [True, True]]),
    (fill_what_is_stretched, [[[7], [7]], [[7] * 3] * 2, [[0], [7]]]),
    (types_of_joined, ["float64", "float64", "float64", "float32", "float64"]),
    (types_of_next_numbers, ["float32", "float32", "float64"]),
    (complex_powers, ["complex128", 1.2779]),
    (norms_of_mixed_types, ["float16"] * 3),
]  # fmt: skip

ERRORS = {
    "masked_fill_: bytes": (RuntimeError, "masked_fill_ only supports boolean masks",
        lambda m: of(m, [1.0, 2.0]).masked_fill_(of(m, [1, 0], "uint8"), 9)),
    "masked_fill_: integers": (RuntimeError, "masked_fill_ only supports boolean masks",
        lambda m: of(m, [1.0, 2.0]).masked_fill_(of(m, [1, 0], "int64"), 9)),
    "masked_fill_: no elements": (RuntimeError, "masked_fill_ only supports boolean masks",
        lambda m: of(m, []).masked_fill_(of(m, [], "uint8"), 9)),
    "masked_fill_: values": (RuntimeError, "only supports a 0-dimensional value tensor",
        lambda m: of(m, [1.0, 2.0]).masked_fill_(of(m, [True, False], "bool"), of(m, [1.0, 2.0]))),
    "any: twice": (RuntimeError, "dim 1 appears multiple times in the list of dims",
        lambda m: of(m, [[1.0]]).any((1, -1))),
    "all: twice": (RuntimeError, "dim 0 appears multiple times in the list of dims",
        lambda m: m.all(of(m, [[1.0]]), (0, -2))),
    "softmax: no elements": (IndexError, "Dimension out of range",
        lambda m: m.softmax(of(m, []), -2)),
    "log_softmax: no elements": (IndexError, "Dimension out of range",
        lambda m: m.log_softmax(of(m, []), 1)),
    "repeat_interleave": (RuntimeError, "[Rr]epeats must be non-negative",
        lambda m: of(m, [1.0]).repeat_interleave(-1)),
    "layer_norm": (RuntimeError, "mixed dtype|expected scalar type",
        lambda m: m.nn.functional.layer_norm(of(m, [[1, 2]], "int64"), (2,), of(m, [1.0, 1.0]))),
    "group_norm": (RuntimeError, "mixed dtype|expected scalar type",
        lambda m: m.nn.functional.group_norm(of(m, [[1, 2]], "int64"), 1, of(m, [1.0, 1.0]))),
    "batch_norm": (NotImplementedError, "not implemented for 'Long'",
        lambda m: m.nn.functional.batch_norm(of(m, [[1, 2]], "int64"), of(m, [1.0, 1.0]),
                                             of(m, [1.0, 1.0]), of(m, [1.0, 1.0]))),
    "add_": (RuntimeError, "result type Double can't be cast to the desired output type Long",
        lambda m: of(m, [1, 2], "int64").add_(leaf(m, 1.0, 2.0))),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
@pytest.mark.parametrize(("scene", "expected"), VALUES, ids=[s.__name__ for s, _ in VALUES])
def test_values(scene, expected):
    assert scene(tg) == expected


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence", "ignore:Mismatch dtype between")
@pytest.mark.parametrize(("scene", "expected"), VALUES, ids=[s.__name__ for s, _ in VALUES])
def test_pytorchs_values(torch, scene, expected):
    assert scene(torch) == expected


@pytest.mark.parametrize(("kind", "text", "call"), ERRORS.values(), ids=ERRORS)
def test_errors(kind, text, call):
    with pytest.raises(kind, match=text):
        call(tg)


@pytest.mark.peers
@pytest.mark.parametrize(("kind", "text", "call"), ERRORS.values(), ids=ERRORS)
def test_pytorchs_errors(torch, kind, text, call):
    with pytest.raises(kind, match=text):
        call(torch)


def test_integers_have_no_history():
    x = of(tg, [5, 6], "int64")
    x.copy_(leaf(tg, 1.7, 2.2))
    assert not x.requires_grad


def test_what_is_stretched_is_filled_in_the_graph():
    p = leaf(tg, 1.0, 2.0)
    base = (p * 3).reshape(2, 1)
    base.expand(2, 3).zero_()
    other = (p * 3).reshape(2, 1)
    other[:1].expand(1, 3).fill_(5)
    (base.sum() + other.sum()).backward()
    assert base.tolist() == [[0], [0]]
    assert other.tolist() == [[5], [6]]
    assert p.grad.tolist() == [0, 3]


def test_a_list_in_the_place_of_a_tuple_warns():
    x = tg.zeros(2, 2)
    for access in (lambda: x[[[0, 1], [1, 0]]], lambda: x.__setitem__([[0], [1]], 5)):
        with pytest.warns(UserWarning, match=r"x\[seq\] is taken for x\[tuple\(seq\)\]"):
            access()
    assert x.tolist() == [[0, 5], [0, 0]]
