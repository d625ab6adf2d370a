"""Checkpoints: what people put into them, PyTorch's own files, and where tensors go."""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import io
import os
import pathlib
import pickle
import random
import types
import zipfile

import numpy as np
import pytest
import safetensors.numpy

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.serialization import CheckpointError

FILES = pathlib.Path(__file__).parents[1] / "golden" / "files"
FORMATS = ["safetensors", "pytorch"]


def again(obj, format="safetensors", **how):
    file = io.BytesIO()
    tg.save(obj, file, format=format)
    return tg.load(io.BytesIO(file.getvalue()), **how)


USUAL = {
    "device": tg.device("cuda:1"), "dtype": tg.float32, "set": {1, 2}, "frozen": frozenset("ab"),
    "path": pathlib.Path("a/b.txt"), "pure": pathlib.PureWindowsPath("c:/x"), "bytes": b"\x00raw",
    "bytearray": bytearray(b"x"), "args": argparse.Namespace(lr=0.1, device=tg.device("cpu")),
    "simple": types.SimpleNamespace(a=[1]), "complex": 1 + 2j, "range": range(1, 9, 2),
    "slice": slice(1, None), "size": tg.Size([2, 3]), "when": datetime.datetime(2024, 5, 6, 7, 8),
    "day": datetime.date(2024, 5, 6), "took": datetime.timedelta(hours=3),
    "ordered": collections.OrderedDict(b=1, a=2), "counter": collections.Counter("hello"),
    "scalar": np.float64(0.5), "integer": np.int16(3), "inf": float("-inf"), "big": 2**100,
    "default": collections.defaultdict(list, a=[1]), "nothing": None, "keys": {1: "a", (1, 2): 3},
    "numpy": np.arange(6).reshape(2, 3)[:, ::2], "text": "\u00e9\n", "tuple": (1, [2.5, True]),
}  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", USUAL)
def test_what_people_store_comes_back(name, format):
    value = USUAL[name]
    back = again({"x": value}, format)["x"]
    assert type(back) is type(value)
    np.testing.assert_equal(back, value)
    if name == "default":
        assert back.default_factory is list


@pytest.mark.parametrize("format", FORMATS)
def test_parameters_leaves_and_shared_memory_come_back(format):
    x = tg.arange(12.0).view(3, 4)
    model = nn.Linear(2, 3)
    model.weight.requires_grad_(False)
    back = again({
        "row": x[1], "x": x, "columns": x[:, 1:3], "again": x, "t": x.t(), "apart": x.clone(),
        "w": model.weight, "b": model.bias, "leaf": tg.ones(2, requires_grad=True),
        "result": model.bias * 2,
    }, format)  # fmt: skip
    assert isinstance(back["w"], nn.Parameter)
    assert not back["w"].requires_grad
    assert back["b"].requires_grad
    assert back["b"].is_leaf
    assert isinstance(back["b"], nn.Parameter)
    assert back["leaf"].requires_grad
    assert not back["result"].requires_grad
    back["x"].zero_()
    assert back["row"].tolist() == [0.0] * 4
    assert back["columns"].sum() == back["t"].sum() == back["again"].sum() == 0
    assert tg.equal(back["apart"], x)


@pytest.mark.parametrize("format", FORMATS)
def test_only_what_is_stored_is_in_the_file(format):
    big = tg.zeros(100_000)
    file = io.BytesIO()
    tg.save({"few": big[:10]}, file, format=format)
    assert len(file.getvalue()) < 5_000


@pytest.mark.parametrize("format", FORMATS)
def test_tied_weights_are_loaded_into_a_model(format):
    model = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 4, bias=False))
    model[1].weight = model[0].weight
    state = again(model.state_dict(), format)
    assert list(state) == ["0.weight", "1.weight"]
    other = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 4, bias=False))
    other.load_state_dict(state)
    assert tg.equal(other[0].weight, model[0].weight)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("obj", "said"),
    [
        (nn.Linear(1, 1), r"store a Linear .* would run code.*store the state_dict\(\)"),
        (optim.SGD([tg.ones(1, requires_grad=True)], 0.1), "store a SGD .* would run code"),
        (print, "cannot store a builtin_function_or_method"),
        (io.BytesIO(), "cannot store a BytesIO"),
        (nn.Linear, "cannot store a type"),
        (np.array([None]), "cannot store an array of object"),
        (np.ma.array([1.0], mask=[1]), "cannot store an array of float64"),
    ],
    ids=["module", "optimizer", "function", "file", "class", "objects", "masked"],
)
def test_what_is_refused(obj, said, format):
    with pytest.raises(TypeError, match=said):
        again({"x": obj}, format)


def test_factories_that_are_no_plain_type_are_refused():
    with pytest.raises(TypeError, match=r"a defaultdict of .* at x; only of bool, dict"):
        again({"x": collections.defaultdict(lambda: 0)})
    with pytest.raises(TypeError, match="cannot store a function"):
        again({"x": collections.defaultdict(lambda: 0)}, "pytorch")


def test_what_holds_itself_is_refused_in_both(tmp_path):
    nest = []
    for _ in range(100_000):
        nest = [nest]
    for format in FORMATS:
        with pytest.raises(ValueError, match="holds itself, or is nested too deeply"):
            again(nest, format)


def test_the_name_says_the_format(tmp_path):
    for name, start in (("a.pt", b"PK"), ("a.PTH", b"PK"), ("a.ckpt", b""), ("a", b"")):
        tg.save({"x": tg.ones(1)}, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
        assert (tmp_path / name).read_bytes().startswith(b"PK") == (start == b"PK")
        assert tg.load(tmp_path / name)["x"].item() == 1
    with pytest.raises(ValueError, match="format must be one of"):
        tg.save({}, tmp_path / "x", format="onnx")
    tg.save({"x": 1}, str(tmp_path / "b.pt"), _use_new_zipfile_serialization=False)
    assert tg.load(str(tmp_path / "b.pt"), weights_only=False, mmap=True) == {"x": 1}


def test_files_are_told_apart_at_every_length_of_header():
    starts = set()
    for n in range(600):
        file = io.BytesIO()
        tg.save({"x" * n: tg.ones(1)}, file)
        assert list(tg.load(io.BytesIO(file.getvalue()))) == ["x" * n]
        starts.add(file.getvalue()[0])
    assert 0x80 in starts


def test_the_same_content_gives_the_same_bytes():
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        tg.save({"x": tg.ones(3)}, file, format="pytorch")
    assert files[0].getvalue() == files[1].getvalue()


def test_where_tensors_go():
    state = {"x": tg.ones(2)}
    for place in ("cpu", tg.device("cpu"), {"cuda:0": "cpu"}, {"cpu": "cpu"}, None,
                  lambda storage, place: storage, lambda storage, place: storage.cpu(),
                  lambda storage, place: None):  # fmt: skip
        for format in FORMATS:
            assert again(state, format, map_location=place)["x"].tolist() == [1.0, 1.0]
    seen = []
    tg.load(FILES / "new.pt", map_location=lambda storage, place: seen.append(place))
    assert set(seen) == {"cpu"}
    with pytest.raises(TypeError, match="map_location must be a device, a dict of places, or a"):
        again(state, map_location=3)
    with pytest.raises(CheckpointError, match="map_location must return a storage"):
        again(state, map_location=lambda storage, place: 3)


def test_tied_weights_of_others_are_found(tmp_path):
    arrays = {"emb.weight": np.ones((4, 3), "f4")}
    note = {"head.weight": "emb.weight", "format": "pt"}
    safetensors.numpy.save_file(arrays, tmp_path / "x.safetensors", note)
    held = tg.load(tmp_path / "x.safetensors")
    assert list(held) == ["emb.weight", "head.weight"]
    held["emb.weight"].zero_()
    assert held["head.weight"].sum() == 0


@pytest.mark.peers
def test_tied_weights_of_safetensors_load(torch, tmp_path):
    files = pytest.importorskip("safetensors.torch")
    theirs = torch.nn.Sequential(torch.nn.Embedding(4, 3), torch.nn.Linear(3, 4, bias=False))
    theirs[1].weight = theirs[0].weight
    files.save_model(theirs, tmp_path / "x.safetensors")
    ours = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 4, bias=False))
    ours[1].weight = ours[0].weight
    print(ours.load_state_dict(tg.load(tmp_path / "x.safetensors")))
    np.testing.assert_array_equal(ours[1].weight.detach(), theirs[1].weight.detach())


# PyTorch's files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["new.pt", "old.pt"])
def test_pytorchs_files_are_read(name):
    held = tg.load(FILES / name)
    assert isinstance(held["w"], nn.Parameter)
    assert held["w"].requires_grad
    assert held["w"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert held["base"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    held["base"].zero_()
    assert held["view"].tolist() == [[0.0, 0.0]] * 2
    assert (held["n"].item(), held["n"].dtype, held["half"].dtype) == (7, tg.int64, tg.float16)
    assert held["bf"].dtype == tg.float32
    assert held["bf"].tolist() == [1.5, -2.0]
    assert held["flag"].tolist() == [True, False]
    assert held["leaf"].requires_grad
    assert held["dtype"] is tg.int64
    assert held["device"] == tg.device("cuda:1")
    assert held["size"] == tg.Size([2, 3])
    assert held["set"] == {1, 2}
    assert held["z"] == 1 + 2j
    assert type(held["ordered"]) is collections.OrderedDict
    assert held["text"] == "\u00e9"
    assert held["list"] == [1, 2.5, (True, b"raw")]
    assert held["none"] is None


class Harmful:
    def __init__(self, *what):
        self.what = what

    def __reduce__(self):
        return self.what[0], self.what[1:]


def pt_of(pickled, memories=()):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/version", "3\n")
        for i, memory in enumerate(memories):
            archive.writestr(f"a/data/{i}", memory)
    return file.getvalue()


def tensor_of(offset, size, stride, count=4):
    """A pickle of one tensor, written by hand."""

    def tuple_of(numbers):
        return b"(" + b"".join(pickle.dumps(n, 2)[2:-1] for n in numbers) + b"t"

    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage"
        b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + pickle.dumps(count, 2)[2:-1] + b"tQ"
        + pickle.dumps(offset, 2)[2:-1] + tuple_of(size) + tuple_of(stride)
        + b"\x89ccollections\nOrderedDict\n)RtR."
    )  # fmt: skip


def test_a_pickle_by_hand_is_read():
    data = pt_of(tensor_of(1, (3,), (1,)), [np.arange(4, dtype="f4").tobytes()])
    assert tg.load(io.BytesIO(data)).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(2, (3,), (1,)), (0, (2, 3), (3, 1)), (0, (2,), (-1,)), (-1, (2,), (1,)), (0, (2**40,), (0,)),
     (0, (2,), (2**61,)), (0, (-2,), (1,)), (0, (2,), (1, 1)), ("0", (2,), (1,))],
)  # fmt: skip
def test_tensors_outside_their_memory_are_refused(offset, size, stride):
    data = pt_of(tensor_of(offset, size, stride), [np.zeros(4, "f4").tobytes()])
    if size == (2**40,):  # of stride 0: one element many times
        assert tg.load(io.BytesIO(data)).stride() == (0,)
        return
    with pytest.raises(CheckpointError, match=r"lies outside its memory|damaged"):
        tg.load(io.BytesIO(data))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ((os.system, "echo harm > {}"), r"names \w+\.system, which is not known to be harmless"),
        ((eval, "1 + 1"), r"names \w+\.eval, which"),
        ((getattr, 1, "real"), r"names \w+\.getattr"),
        ((open, "{}", "w"), r"names \w*\.open"),
        ((bytearray, 2**45), "a bytearray of something that is no bytes"),
        ((set, range(2**45)), "a set of something that is no list"),
        ((list, range(2**45)), "damaged, cut off"),
        ((collections.OrderedDict, range(3)), "a OrderedDict of something that is no list"),
        ((np.dtype, "O"), "a NumPy array of the type 'O' is not read here"),
    ],
    ids=["system", "eval", "getattr", "open", "bytes", "set", "list", "ordered", "objects"],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_pickles_that_would_do_more_are_refused(what, said, protocol, tmp_path):
    target = tmp_path / "harm"
    what = tuple(part.format(target) if isinstance(part, str) else part for part in what)
    pickled = pickle.dumps({"x": Harmful(*what)}, protocol)
    with pytest.raises(CheckpointError, match=said):
        tg.load(io.BytesIO(pt_of(pickled)))
    assert not target.exists()


def test_whole_objects_are_refused_with_the_reason():
    pickled = b"\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81."
    with pytest.raises(CheckpointError, match=r"a whole object of the class torch.nn.modules.lin"):
        tg.load(io.BytesIO(pt_of(pickled)))


def zip_of(**entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("_", "/").replace("/pkl", ".pkl"), data)
    return file.getvalue()


def compressed():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({"x": bytes(10_000)}, 2))
    return file.getvalue()


HOSTILE = {
    "no pickle": (zip_of(a_b="x"), "none that PyTorch wrote"),
    "scripted": (zip_of(a_data_pkl="x", a_constants_pkl="x"), "scripted module of torch.jit"),
    "compressed": (compressed(), "entries are compressed"),
    "no memory": (pt_of(tensor_of(0, (2,), (1,))), "memory of a tensor is missing"),
    "short memory": (pt_of(tensor_of(0, (2,), (1,)), [b"\0" * 8]), "damaged, cut off"),
    "a stream": (pickle.dumps([1, 2], 2), "not as torch.save writes them"),
    "a tensor in front": (tensor_of(0, (2,), (1,)), "a tensor stands where none can be"),
    "cut": ((FILES / "new.pt").read_bytes()[:-30], "damaged or cut off"),
    "of nothing": (pt_of(b"\x80\x02X\x01\x00\x00\x00aQ."), "no memory of a tensor"),
    "no type": (
        pt_of(pickle.dumps(None, 2)[:2] + b"(X\x07\x00\x00\x00storageNK\x00K\x00K\x00tQ."),
        "memory is of a type that is not known",
    ),
    "no tensor": (
        pt_of(b"\x80\x02ctorch._utils\n_rebuild_parameter\nN\x88N\x87R."),
        "a Parameter without a tensor",
    ),
    "no storage": (
        pt_of(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(NK\x00))tR."),
        "a tensor without memory",
    ),
}


def test_a_file_cannot_ask_for_memory():
    """It says that it notes something at place 2^31 of the table of what was seen."""
    assert tg.load(io.BytesIO(pt_of(b"\x80\x02]r\xff\xff\xff\x7f."))) == []
    nest = []
    for _ in range(60):  # 2^60 ways through it
        nest = [nest, nest]
    tg.load(io.BytesIO(pt_of(pickle.dumps(nest, 2))))


def test_attributes_of_tensors_are_not_set():
    state = b"}X\x05\x00\x00\x00arrayK\x01sb."
    data = pt_of(tensor_of(0, (2,), (1,))[:-1] + state, [b"\0" * 16])
    with pytest.raises(CheckpointError, match="a state for a Tensor, which has none"):
        tg.load(io.BytesIO(data))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name):
    data, said = HOSTILE[name]
    with pytest.raises(CheckpointError, match=said):
        tg.load(io.BytesIO(data))


def test_old_files_that_lie_about_lengths():
    data = (FILES / "old.pt").read_bytes()
    with pytest.raises(CheckpointError, match=r"longer than its file|damaged|another length"):
        tg.load(io.BytesIO(data[:-12]))
    stream = b"".join(pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {}))
    with pytest.raises(CheckpointError, match="a tensor is longer than its file"):
        tg.load(io.BytesIO(stream + tensor_of(0, (2,), (1,), count=2**40)))
    lie = stream + tensor_of(0, (2,), (1,)) + pickle.dumps(["0"], 2) + b"\x05" + b"\0" * 30
    with pytest.raises(CheckpointError, match="another length than the tensor says"):
        tg.load(io.BytesIO(lie))


@pytest.mark.parametrize("name", ["new.pt", "old.pt"])
def test_damaged_files_give_clear_errors_only(name):
    data, rng = (FILES / name).read_bytes(), random.Random(0)
    for _ in range(3_000):
        changed = bytearray(data)
        for _ in range(rng.choice([1, 2, 8])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        if rng.random() < 0.2:
            del changed[rng.randrange(len(changed)) :]
        with contextlib.suppress(CheckpointError):
            tg.load(io.BytesIO(bytes(changed)))


@pytest.mark.peers
@pytest.mark.parametrize("weights_only", [True, False])
def test_pytorch_reads_what_is_written_for_it(torch, tmp_path, weights_only):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    optimizer = optim.Adam(model.parameters(), 0.1)
    model(tg.randn(5, 3)).sum().backward()
    optimizer.step()
    x = tg.arange(6.0).view(2, 3)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3,
             "p": model[0].weight, "view": x[:, 1:], "x": x, "dtype": tg.int64, "n": tg.tensor(1),
             "size": tg.Size([2]), "device": tg.device("cpu"), "set": {1}, "none": None,
             "bytes": b"raw"}  # fmt: skip
    tg.save(state, tmp_path / "x.pt")
    read = torch.load(tmp_path / "x.pt", weights_only=weights_only)
    assert isinstance(read["p"], torch.nn.Parameter)
    assert read["p"].requires_grad
    assert read["dtype"] is torch.int64
    assert read["set"] == {1}
    assert read["bytes"] == b"raw"
    read["x"].zero_()
    assert read["view"].sum() == 0
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    theirs.load_state_dict(read["model"])
    other = torch.optim.Adam(theirs.parameters(), 0.1)
    other.load_state_dict(read["optimizer"])
    back = tg.load(tmp_path / "x.pt")
    for key, value in back["model"].items():
        np.testing.assert_array_equal(value.numpy(), theirs.state_dict()[key].numpy())


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("new", [True, False])
def test_everything_that_pytorch_writes_of_plain_things_is_read(torch, tmp_path, new):
    plain = {k: v for k, v in USUAL.items() if k not in ("device", "dtype", "size", "args")}
    plain["args"] = argparse.Namespace(lr=0.1)
    del plain["pure"]  # which imports a private module on some versions
    torch.save(plain, tmp_path / "x.pt", _use_new_zipfile_serialization=new)
    back = tg.load(tmp_path / "x.pt")
    for name, value in plain.items():
        assert type(back[name]) is type(value), name
        np.testing.assert_equal(back[name], value)
