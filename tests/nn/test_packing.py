"""Padding and packing of sequences against plain lists, and against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_opt as T
from tinygrad_opt import autograd
from tinygrad_opt.nn import packing
from tinygrad_opt.nn.packing import (
    PackedSequence,
    invert_permutation,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
    unpack_sequence,
    unpad_sequence,
)


def sequences(lengths, *shape, lib=T, dtype="float64"):
    """Tensors of different lengths whose elements are all different."""
    rng = np.random.default_rng(0)
    return [lib.tensor((rng.permutation(n * 6) + 100 * b)[:n * 1].astype(dtype)) if not shape
            else lib.tensor(rng.standard_normal((n, *shape)).astype(dtype))
            for b, n in enumerate(lengths)]  # fmt: skip


lists_of_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(lists_of_lengths, st.booleans(), st.sampled_from(["left", "right"]))
def test_pad_sequence(lengths, batch_first, side):
    parts = sequences(lengths, 2)
    padded = pad_sequence(parts, batch_first, -7.0, side)
    longest = max(lengths)
    expected = np.full((len(parts), longest, 2), -7.0)
    for b, x in enumerate(parts):
        start = longest - len(x) if side == "left" else 0
        expected[b, start : start + len(x)] = x.numpy()
    found = padded.numpy() if batch_first else padded.numpy().swapaxes(0, 1)
    np.testing.assert_array_equal(found, expected)
    if side == "right":
        back = unpad_sequence(padded, T.tensor(lengths), batch_first)
        for x, y in zip(parts, back, strict=True):
            np.testing.assert_array_equal(x.numpy(), y.numpy())


@settings(max_examples=40, deadline=None)
@given(lists_of_lengths, st.booleans())
def test_packing_goes_step_by_step_and_comes_back(lengths, batch_first):
    parts = sequences(lengths)
    packed = pack_sequence(parts, enforce_sorted=False)
    order = sorted(range(len(lengths)), key=lambda b: -lengths[b])  # stable, as PyTorch's sort
    steps = [[parts[b].tolist()[t] for b in order if lengths[b] > t] for t in range(max(lengths))]
    assert packed.data.tolist() == [x for step in steps for x in step]
    assert packed.batch_sizes.tolist() == [len(step) for step in steps]
    assert packed.sorted_indices.tolist() == order
    assert [order[i] for i in packed.unsorted_indices.tolist()] == list(range(len(lengths)))
    for x, y in zip(parts, unpack_sequence(packed), strict=True):
        assert x.tolist() == y.tolist()
    padded, found = pad_packed_sequence(packed, batch_first, -1.0, 9)
    assert found.tolist() == lengths
    assert padded.shape == ((len(parts), 9) if batch_first else (9, len(parts)))
    again = pack_padded_sequence(padded, lengths, batch_first, enforce_sorted=False)
    assert again.data.tolist() == packed.data.tolist()


def test_sorted_sequences_keep_no_indices():
    packed = pack_sequence(sequences([3, 2, 2]))
    assert packed.sorted_indices is None
    assert packed.unsorted_indices is None
    assert isinstance(packed, tuple)
    data, sizes, *_ = packed
    assert (data.shape, sizes.tolist()) == ((7,), [3, 3, 1])


def test_padding_may_be_left_out_of_the_end():
    x = T.tensor(np.arange(8.0).reshape(4, 2))
    packed = pack_padded_sequence(x, T.tensor([3, 1]))
    assert packed.data.tolist() == [0.0, 1.0, 2.0, 4.0]
    padded, _ = pad_packed_sequence(packed)
    assert padded.tolist() == [[0.0, 1.0], [2.0, 0.0], [4.0, 0.0]]


def test_integers_stay_integers():
    parts = [T.tensor([1, 2, 3]), T.tensor([4])]
    padded = pad_sequence(parts, padding_value=-100)
    assert padded.dtype == T.int64
    assert padded.tolist() == [[1, 4], [2, -100], [3, -100]]
    assert pack_sequence(parts).data.dtype == T.int64


def test_gradients_flow_back_to_the_sequences():
    def there_and_back(a, b):
        packed = pack_sequence([a, b], enforce_sorted=False)
        padded, _ = pad_packed_sequence(packed, padding_value=3.0)
        return (padded * padded * padded).sum()

    leaves = [x.requires_grad_() for x in sequences([2, 3], 2)]
    assert autograd.gradcheck(there_and_back, leaves)
    assert autograd.gradgradcheck(there_and_back, leaves)


def test_the_names_are_where_pytorch_has_them():
    from tinygrad_opt.nn.utils import rnn

    assert {name: getattr(rnn, name) for name in rnn.__all__} == {
        name: getattr(packing, name) for name in packing.__all__
    }


def test_a_tensor_counts_as_its_rows():
    assert pad_sequence(T.zeros(3, 2)).shape == (2, 3)


def test_conversions():
    packed = pack_sequence(sequences([2, 3], 2), enforce_sorted=False)
    assert packed.double() is packed.cpu() is packed
    assert packed.float().data.dtype == T.float32
    assert packed.half().data.dtype == T.float16
    assert packed.int().data.dtype == T.int32
    assert packed.long().data.dtype == T.int64
    assert packed.float().batch_sizes is packed.batch_sizes
    assert packed.float().sorted_indices.tolist() == packed.sorted_indices.tolist()
    assert not packed.is_cuda
    assert invert_permutation(None) is None
    assert invert_permutation(T.tensor([2, 0, 1])).tolist() == [1, 2, 0]
    made = PackedSequence((packed.data, packed.batch_sizes))
    assert made.data is packed.data


def test_text():
    packed = pack_sequence([T.tensor([1, 2, 3]), T.tensor([4, 5])])
    assert repr(packed) == (
        "PackedSequence(data=tensor([1, 4, 2, 5, 3]), batch_sizes=tensor([2, 2, 1]), "
        "sorted_indices=None, unsorted_indices=None)"
    )


MISTAKES = {
    "unsorted": (lambda p, lib: p.pack_padded_sequence(lib.zeros(4, 3), [4, 2, 3]), RuntimeError,
                 "array must be sorted in decreasing order when `enforce_sorted` is True"),
    "zero length": (lambda p, lib: p.pack_padded_sequence(lib.zeros(4, 3), [4, 2, 0]), RuntimeError,
                    "Length of all samples has to be greater than 0"),
    "count": (lambda p, lib: p.pack_padded_sequence(lib.zeros(4, 3), [4, 2]), RuntimeError,
              r"Expected `len\(lengths\)` to be equal to batch_size, but got 2 \(batch_size=3\)"),
    "axes of lengths": (lambda p, lib: p.pack_padded_sequence(lib.zeros(4, 3), [[4, 2, 1]]),
                        RuntimeError, "'lengths' argument should be a 1D CPU int64 tensor"),
    "one axis": (lambda p, lib: p.pack_padded_sequence(lib.zeros(4), [4]), IndexError,
                 "Dimension out of range"),
    "total_length": (lambda p, lib: p.pad_packed_sequence(
        p.pack_sequence([lib.zeros(3)]), total_length=2), ValueError,
        "Expected total_length to be at least the length of the longest sequence in input, but got "
        "total_length=2 and max sequence length being 3"),
    "no sequences": (lambda p, lib: p.pad_sequence([]), RuntimeError,
                     "received an empty list of sequences"),
    "trailing axes": (lambda p, lib: p.pad_sequence([lib.zeros(2, 3), lib.zeros(1, 2)]),
                      RuntimeError, "The size of tensor a .* must match the size of tensor b"),
    "side": (lambda p, lib: p.pad_sequence([lib.zeros(2)], padding_side="top"), RuntimeError,
             "Expected padding_side to be one of left or right, but got top"),
    "no iterable": (lambda p, lib: p.pad_sequence(3), RuntimeError,
                    "pad_sequence: Expected iterable for input sequences, but got arg of type"),
    "no tensor": (lambda p, lib: p.pad_sequence([lib.zeros(2), 3]), TypeError,
                  "expected Tensor as element 1 in argument 0, but got int"),
    "pair": (lambda p, lib: p.PackedSequence(lib.zeros(3)), AssertionError,
             "Expected data to be a list or tuple of length 2"),
    "empty": (lambda p, lib: p.pack_padded_sequence(lib.zeros(4, 0), []), RuntimeError,
              "Cannot pack empty tensors."),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name):
    call, error, text = MISTAKES[name]
    with pytest.raises(error, match=text):
        call(packing, T)


def test_lengths_beyond_the_input_are_refused():
    with pytest.raises(RuntimeError, match="a length of 5 in 'lengths' is larger than the input's"):
        pack_padded_sequence(T.zeros(4, 2), [5, 2])  # PyTorch reads past the end
    with pytest.raises(RuntimeError, match="sequence 0 is 0-d"):
        pad_sequence([T.tensor(1.0)])


WRONG_SIZES = [
    [4],
    [1],
    [2, 2],
    [1, 2],
    [-1, 4],
    [0, 3],
    [2**31],
    [2**62, 2**62, 3],
    [-(2**63)],
    [],
]


@pytest.mark.parametrize("sizes", WRONG_SIZES)
def test_batch_sizes_that_are_not_those_of_the_data_are_refused(sizes):
    packed = packing.PackedSequence(T.zeros(3, 2), T.tensor(sizes, dtype=T.int64))
    for use in (packing.pad_packed_sequence, T.nn.GRU(2, 4), T.nn.LSTM(2, 4)):
        with pytest.raises(RuntimeError, match="PackedSequence: batch_sizes must "):
            use(packed)
    floats = packing.PackedSequence(T.zeros(3, 2), T.tensor([3.0]))
    with pytest.raises(RuntimeError, match="batch_sizes must be a 1-D int64 tensor that is not"):
        packing.pad_packed_sequence(floats)


# Against PyTorch ----------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("name", MISTAKES)
def test_messages_read_like_pytorchs(torch, name):
    call, error, text = MISTAKES[name]
    with pytest.raises(error, match=text):
        call(torch.nn.utils.rnn, torch)


@pytest.mark.peers
@pytest.mark.parametrize("lengths", [[3, 1, 2, 3], [5], [1, 1]])
@pytest.mark.parametrize("shape", [(), (2,), (2, 3)])
@pytest.mark.parametrize("batch_first", [False, True])
def test_everything_equals_pytorch(torch, lengths, shape, batch_first):
    results = []
    for lib, tools in ((T, packing), (torch, torch.nn.utils.rnn)):
        parts = sequences(lengths, *shape, lib=lib)
        padded = [tools.pad_sequence(parts, batch_first, 2.5, side) for side in ("left", "right")]
        packed = tools.pack_padded_sequence(padded[1], lengths, batch_first, False)
        again = tools.pad_packed_sequence(packed, batch_first, 1.5, 7)
        results.append([x.numpy() for x in (*padded, *packed, *again)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
