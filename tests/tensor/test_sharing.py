"""Which results are views of the same memory, and which are copies: as in PyTorch.

A view shows what is written to the original, and can be written to itself.
"""

import numpy as np
import pytest

import tinygrad_opt as tg

VIEWS = {
    "transpose": lambda m, x: x.transpose(0, 1),
    "t": lambda m, x: x[0].t(),
    "T": lambda m, x: x[0].T,
    "mT": lambda m, x: x.mT,
    "permute": lambda m, x: x.permute(2, 0, 1),
    "movedim": lambda m, x: x.movedim(0, 2),
    "swapaxes": lambda m, x: x.swapaxes(0, 2),
    "number": lambda m, x: x[1],
    "slice": lambda m, x: x[:, 1:3],
    "step": lambda m, x: x[..., ::2],
    "new axis": lambda m, x: x[None],
    "ellipsis": lambda m, x: x[..., 0],
    "view": lambda m, x: x.view(6, 4),
    "view of a slice": lambda m, x: x[1].view(-1),
    "view as int": lambda m, x: x.view(m.int32),
    "view_as": lambda m, x: x.view_as(m.zeros(24)),
    "reshape": lambda m, x: x.reshape(-1),
    "flatten": lambda m, x: x.flatten(1),
    "ravel": lambda m, x: x.ravel(),
    "unflatten": lambda m, x: x.unflatten(2, (2, 2)),
    "squeeze": lambda m, x: x[:1].squeeze(0),
    "unsqueeze": lambda m, x: x.unsqueeze(-1),
    "narrow": lambda m, x: x.narrow(1, 1, 2),
    "select": lambda m, x: x.select(2, 3),
    "unbind": lambda m, x: x.unbind(1)[2],
    "split": lambda m, x: x.split(2, 1)[1],
    "chunk": lambda m, x: x.chunk(2)[1],
    "tensor_split": lambda m, x: m.tensor_split(x, 2, 2)[1],
    "hsplit": lambda m, x: m.hsplit(x, 3)[1],
    "diagonal": lambda m, x: x.diagonal(0, 1, 2),
    "unfold": lambda m, x: x.unfold(2, 2, 1),
    "detach": lambda m, x: x.detach(),
    "data": lambda m, x: x.data,
    "contiguous": lambda m, x: x.contiguous(),
    "to its own type": lambda m, x: x.to(m.float32),
    "atleast_3d": lambda m, x: m.atleast_3d(x[0]),
    "iteration": lambda m, x: list(x)[1],
    "from_numpy": lambda m, x: m.from_numpy(x.numpy()),
    "as_tensor": lambda m, x: m.as_tensor(x),
    "asarray": lambda m, x: m.asarray(x.numpy()),
    "positive": lambda m, x: m.positive(x),
}
SPREAD = {  # views that show one element in several places
    "expand": lambda m, x: x[:, :1].expand(2, 3, 4),
    "expand_as": lambda m, x: x[:1].expand_as(x),
    "broadcast_to": lambda m, x: m.broadcast_to(x, (2, 2, 3, 4)),
    "broadcast_tensors": lambda m, x: m.broadcast_tensors(x[:1], x)[0],
    "meshgrid": lambda m, x: m.meshgrid(x[0, 0], x[0, 0], indexing="ij")[1],
}
COPIES = {
    "list": lambda m, x: x[[0, 1]],
    "mask": lambda m, x: x[x == x],
    "reshape of a transpose": lambda m, x: x.transpose(0, 1).reshape(-1),
    "flatten of a transpose": lambda m, x: x.transpose(0, 1).flatten(),
    "contiguous transpose": lambda m, x: x.mT.contiguous(),
    "clone": lambda m, x: x.clone(),
    "flip": lambda m, x: x.flip(0),
    "roll": lambda m, x: x.roll(1, 0),
    "repeat": lambda m, x: x.repeat(1, 1, 1),
    "tile": lambda m, x: m.tile(x, (1,)),
    "repeat_interleave": lambda m, x: x.repeat_interleave(1, 0),
    "diag": lambda m, x: m.diag(x[0]),
    "tril": lambda m, x: x.tril(9),
    "cat": lambda m, x: m.cat([x]),
    "stack": lambda m, x: m.stack([x]),
    "index_select": lambda m, x: x.index_select(0, m.tensor([0])),
    "gather": lambda m, x: x[0, 0].gather(0, m.tensor([0])),
    "masked_fill": lambda m, x: x.masked_fill(x != x, 0),
    "rot90, no turn": lambda m, x: x.rot90(0),
    "tensor": lambda m, x: m.tensor(x.numpy()),
    "new_tensor": lambda m, x: x.new_tensor(x.numpy()),
    "to with copy": lambda m, x: x.to(m.float32, copy=True),
    "pad": lambda m, x: m.nn.functional.pad(x, (1, 0)),
    "abs": lambda m, x: x.abs(),
    "clamp": lambda m, x: x.clamp(-99, 99),
    "round": lambda m, x: x.round(),
    "sort": lambda m, x: x.sort()[0],
    "nan_to_num": lambda m, x: x.nan_to_num(),
}
shared = pytest.mark.parametrize("call", [*VIEWS.values(), *SPREAD.values()], ids=[*VIEWS, *SPREAD])
copied = pytest.mark.parametrize("call", COPIES.values(), ids=COPIES)


def original(m):
    return m.arange(24.0).reshape(2, 3, 4).contiguous().clone()


@shared
def test_views_share_memory(call):
    x = original(tg)
    assert np.shares_memory(call(tg, x).array, x.array)


@copied
def test_copies_do_not_share_memory(call):
    x = original(tg)
    assert not np.shares_memory(call(tg, x).array, x.array)


@pytest.mark.parametrize("call", VIEWS.values(), ids=VIEWS)
def test_writing_to_a_view_writes_to_the_original(call):
    x = original(tg)
    y = call(tg, x)
    y.fill_(-7)
    assert (x.view(y.dtype) == -7).sum().item() > 0


@pytest.mark.peers
@shared
def test_views_as_pytorch(torch, call):
    x = original(torch)
    assert call(torch, x).untyped_storage().data_ptr() == x.untyped_storage().data_ptr()


@pytest.mark.peers
@copied
def test_copies_as_pytorch(torch, call):
    x = original(torch)
    assert call(torch, x).untyped_storage().data_ptr() != x.untyped_storage().data_ptr()


@pytest.mark.peers
@shared
def test_strides_as_pytorch(torch, call):
    ours, theirs = call(tg, original(tg)), call(torch, original(torch))
    along = [i for i, n in enumerate(theirs.shape) if n > 1]  # elsewhere they mean nothing
    assert [ours.stride(i) for i in along] == [theirs.stride(i) for i in along]
    assert (ours.storage_offset(), ours.is_contiguous()) == (
        theirs.storage_offset(),
        theirs.is_contiguous(),
    )
