"""Tensors as text: the strings that PyTorch prints, but for the prefix `torch.` of dtypes."""

import numpy as np
import pytest

import tinygrad_opt as tg

NAN, INF = float("nan"), float("inf")

VALUES = {
    "0-d": (2.5, "tensor(2.5000)"),
    "0-d whole": (3.0, "tensor(3.)"),
    "0-d int": (3, "tensor(3)"),
    "0-d bool": (True, "tensor(True)"),
    "empty": ([], "tensor([])"),
    "whole": ([1.0, -2.0], "tensor([ 1., -2.])"),
    "fractions": ([1.5, 22.25], "tensor([ 1.5000, 22.2500])"),
    "ints": ([1, 10, -100], "tensor([   1,   10, -100])"),
    "bools": ([True, False], "tensor([ True, False])"),
    "matrix": ([[1.0, 2.0], [3.0, 4.0]], "tensor([[1., 2.],\n        [3., 4.]])"),
    "3-d": ([[[1]], [[2]]], "tensor([[[1]],\n\n        [[2]]])"),
    "small": ([1e-5, 1.0], "tensor([1.0000e-05, 1.0000e+00])"),
    "very different": ([1e-3, 1000.5], "tensor([1.0000e-03, 1.0005e+03])"),
    "whole and very different": ([1e5, 1.0], "tensor([1.0000e+05, 1.0000e+00])"),
    "large": ([1234567.0], "tensor([1234567.])"),
    "too large": ([1e10], "tensor([1.0000e+10])"),
    "nan": ([NAN, 1.0], "tensor([nan, 1.])"),
    "infinite": ([INF, 1.5, -INF], "tensor([   inf, 1.5000,   -inf])"),
    "zeros": ([0.0, -0.0], "tensor([0., -0.])"),
    "empty rows": ([[], []], "tensor([], size=(2, 0))"),
    "two lines": (
        [i / 7 for i in range(12)],
        "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429,\n"
        "        1.2857, 1.4286, 1.5714])",
    ),
    "many": (list(range(1001)), "tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    "many rows": (
        [[0.0] * 40] * 40,
        "tensor([[0., 0., 0.,  ..., 0., 0., 0.],\n"
        + "        [0., 0., 0.,  ..., 0., 0., 0.],\n" * 2
        + "        ...,\n"
        + "        [0., 0., 0.,  ..., 0., 0., 0.],\n" * 2
        + "        [0., 0., 0.,  ..., 0., 0., 0.]])",
    ),
}

EXPRESSIONS = {
    "float64": (lambda m: m.ones(2, dtype=m.float64), "tensor([1., 1.], dtype=torch.float64)"),
    "int32": (lambda m: m.tensor(3, dtype=m.int32), "tensor(3, dtype=torch.int32)"),
    "empty int64": (lambda m: m.zeros(0, dtype=m.int64), "tensor([], dtype=torch.int64)"),
    "leaf": (lambda m: m.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
    "result": (
        lambda m: m.ones(1, requires_grad=True) * 2,
        "tensor([2.], grad_fn=<MulBackward0>)",
    ),
    "all of it": (
        lambda m: m.zeros(2, 0, dtype=m.float64, requires_grad=True).exp(),
        "tensor([], size=(2, 0), dtype=torch.float64, grad_fn=<ExpBackward0>)",
    ),
    "notes on a new line": (
        lambda m: m.arange(12, dtype=m.float64).requires_grad_() / 7,
        "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429,\n"
        "        1.2857, 1.4286, 1.5714], dtype=torch.float64, grad_fn=<DivBackward0>)",
    ),
    "notes too long for the line": (
        lambda m: m.arange(9, dtype=m.float64).requires_grad_() / 7,
        "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429],\n"
        "       dtype=torch.float64, grad_fn=<DivBackward0>)",
    ),
    "shape": (lambda m: m.zeros(2, 3).shape, "torch.Size([2, 3])"),
    "device": (lambda m: m.device("cpu"), "device(type='cpu')"),
    "device with index": (lambda m: m.device("cuda:1"), "device(type='cuda', index=1)"),
}

values = pytest.mark.parametrize(("data", "expected"), VALUES.values(), ids=VALUES)
expressions = pytest.mark.parametrize(("make", "expected"), EXPRESSIONS.values(), ids=EXPRESSIONS)


@values
def test_values(data, expected):
    assert repr(tg.tensor(data)) == str(tg.tensor(data)) == expected


@expressions
def test_notes(make, expected):
    assert repr(make(tg)) == expected


def test_default_dtype_needs_no_note():
    tg.set_default_dtype(tg.float64)
    assert repr(tg.ones(1)) == "tensor([1.])"
    assert repr(tg.ones(1, dtype=tg.float32)) == "tensor([1.], dtype=torch.float32)"


def test_non_contiguous_tensors_print_their_values():
    assert repr(tg.tensor([[1, 2], [3, 4]]).T) == "tensor([[1, 3],\n        [2, 4]])"


def test_format():
    assert f"{tg.tensor(1.23456):.2f}" == "1.23"
    assert f"{tg.tensor(7):03d}" == "007"
    assert f"{tg.tensor([1.5])}" == "tensor([1.5000])"
    with pytest.raises(TypeError, match=r"unsupported format string passed to Tensor\.__format__"):
        f"{tg.tensor([1.5]):.2f}"


OPTIONS = {
    "precision": dict(precision=2),
    "few": dict(threshold=5, edgeitems=1),
    "narrow": dict(linewidth=30),
    "exponents": dict(sci_mode=True),
    "no exponents": dict(sci_mode=False),
    "short": dict(profile="short"),
    "full": dict(profile="full", linewidth=200),
}
SHOWN = {  # [1e-5, 1.5, 2 ... 7], and 1001 zeros
    "precision": "tensor([1.00e-05, 1.50e+00, 2.00e+00, 3.00e+00, 4.00e+00, 5.00e+00, 6.00e+00,\n"
    "        7.00e+00])",
    "few": "tensor([1.0000e-05,  ..., 7.0000e+00])",
    "narrow": "tensor([1.0000e-05,\n        1.5000e+00,\n        2.0000e+00,\n"
    "        3.0000e+00,\n        4.0000e+00,\n        5.0000e+00,\n"
    "        6.0000e+00,\n        7.0000e+00])",
    "exponents": "tensor([1.0000e-05, 1.5000e+00, 2.0000e+00, 3.0000e+00, 4.0000e+00, 5.0000e+00,\n"
    "        6.0000e+00, 7.0000e+00])",
    "no exponents": "tensor([0.0000, 1.5000, 2.0000, 3.0000, 4.0000, 5.0000, 6.0000, 7.0000])",
    "short": "tensor([1.00e-05, 1.50e+00, 2.00e+00, 3.00e+00, 4.00e+00, 5.00e+00, 6.00e+00,\n"
    "        7.00e+00])",
    "full": "tensor([1.0000e-05, 1.5000e+00, 2.0000e+00, 3.0000e+00, 4.0000e+00, 5.0000e+00, "
    "6.0000e+00, 7.0000e+00])",
}


def printed(m, options):
    """Some tensors under these options."""
    m.set_printoptions(**options)
    try:
        some = m.tensor([1e-5, 1.5, *map(float, range(2, 8))])
        return [repr(x) for x in (some, m.zeros(1001), m.zeros(3), m.tensor(0.5), m.arange(50))]
    finally:
        m.set_printoptions(profile="default")


@pytest.mark.parametrize("name", OPTIONS)
def test_options(name):
    assert printed(tg, OPTIONS[name])[0] == SHOWN[name]
    assert repr(tg.tensor([1.5])) == "tensor([1.5000])"


def test_full_profile_leaves_nothing_out():
    assert "..." not in printed(tg, OPTIONS["full"])[1]
    with pytest.raises(ValueError, match="profile must be one of"):
        tg.set_printoptions(profile="tall")


def test_named_results_print_their_fields():
    text = "values=tensor(2.),\nindices=tensor(1))"
    assert repr(tg.tensor([1.0, 2.0]).max(0)) == "torch.return_types.max(\n" + text


@pytest.mark.peers
@pytest.mark.parametrize("name", OPTIONS)
def test_options_as_pytorch(torch, name):
    assert printed(tg, OPTIONS[name]) == printed(torch, OPTIONS[name])


@pytest.mark.peers
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-5, 1e3, 1e9])
def test_any_numbers_as_pytorch(torch, scale):
    rng = np.random.default_rng(0)
    for shape in [
        (),
        (1,),
        (40,),
        (2, 3, 4),
        (1001,),
        (2, 600),
        (50, 50),
        (3, 1, 400),
        (2, 2, 2, 2),
    ]:
        x = np.float32(rng.standard_normal(shape) * scale)
        for array in (x, np.round(x), x.astype(np.int64), x > 0):
            assert repr(tg.tensor(array)) == repr(torch.tensor(array))


@pytest.mark.peers
@values
def test_values_as_pytorch(torch, data, expected):
    assert repr(torch.tensor(data)) == expected


@pytest.mark.peers
@expressions
def test_notes_as_pytorch(torch, make, expected):
    assert repr(make(torch)) == expected
