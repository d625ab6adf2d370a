"""Files: what comes back, atomic writing, files of others, and damaged or hostile ones."""

import io
import json
import os
import random
import stat
import struct
import threading

import numpy as np
import pytest
import safetensors.numpy

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.serialization import CheckpointError, load, save

NEST = {
    "model": {
        "w": tg.randn(3, 4),
        "empty": tg.zeros(0, 2),
        "n": tg.tensor(3),
        "b": tg.tensor(True),
    },
    "optimizer": {
        "state": {0: {"step": tg.tensor(1.0), "m": tg.randn(5, dtype=tg.float64)}},
        "param_groups": [{"betas": (0.9, 0.999), "lr": float("inf"), "fused": None, "on": True}],
    },
    "array": np.arange(6, dtype=np.int16).reshape(2, 3),
    "half": tg.ones(2, dtype=tg.float16),
    "a.b": tg.ones(1),
    "a": {"b": tg.zeros(1)},
    "$odd": {(1, "x"): [1, 2.5, "text \u00e9", 2**100]},
}


def same(a, b):
    if isinstance(a, tg.Tensor):
        return isinstance(b, tg.Tensor) and same(a.array, b.array)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def in_bytes(obj):
    file = io.BytesIO()
    save(obj, file)
    return file.getvalue()


def test_everything_comes_back_as_it_was():
    again = load(io.BytesIO(in_bytes(NEST)))
    assert same(NEST, again)
    again["model"]["w"].zero_()  # and may be written to


def test_nan_and_scalars_of_numpy():
    again = load(
        io.BytesIO(in_bytes({"nan": float("nan"), "n": np.int64(3), "x": np.float32(0.5)}))
    )
    assert again["nan"] != again["nan"]
    assert (again["n"], again["x"]) == (3, 0.5)


def test_layout_in_memory_does_not_matter():
    x = tg.randn(3, 4)
    again = load(io.BytesIO(in_bytes({"t": x.T, "s": x[:, ::2], "top": x[1:]})))
    np.testing.assert_array_equal(again["t"], x.T)
    np.testing.assert_array_equal(again["s"], x[:, ::2])


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"a": {"f": print}}, "cannot store a builtin_function_or_method at a.f"),
        ({"model": nn.Linear(1, 1)}, r"a Linear at model; .* store the state_dict\(\)"),
        ([{1: print}], "a builtin_function_or_method at 0.1"),
        (object(), "a object at the top"),
    ],
)
def test_what_cannot_be_stored_is_named(obj, message, tmp_path):
    path = tmp_path / "x.safetensors"
    save({"old": 1}, path)
    with pytest.raises(TypeError, match=message):
        save(obj, path)
    assert load(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["x.safetensors"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_save_that_fails_leaves_the_old_file(failing, tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    save({"old": 1}, path)

    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space left"):
        save({"new": 2}, path)
    monkeypatch.undo()
    assert load(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["x.safetensors"]


def test_training_goes_on_with_the_same_bits(tmp_path):
    def build():
        tg.manual_seed(3)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        return model, optim.Adam(model.parameters(), lr=0.1)

    def train(model, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            model(tg.randn(5, 3)).sum().backward()
            optimizer.step()

    model, optimizer = build()
    train(model, optimizer, 3)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    save({**state, "random": tg.get_rng_state()}, tmp_path / "run.safetensors")
    train(model, optimizer, 3)

    twin, twin_optimizer = build()
    saved = load(tmp_path / "run.safetensors")
    twin.load_state_dict(saved["model"])
    twin_optimizer.load_state_dict(saved["optimizer"])
    tg.set_rng_state(saved["random"])
    train(twin, twin_optimizer, 3)
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(p.detach(), q.detach())


# Files of others ----------------------------------------------------------------------------------


def test_a_state_dict_is_a_plain_safetensors_file(tmp_path):
    path = tmp_path / "model.safetensors"
    model = nn.Linear(2, 3)
    save(model.state_dict(), path)
    raw = safetensors.numpy.load_file(path)
    assert set(raw) == {"weight", "bias"}
    np.testing.assert_array_equal(raw["weight"], model.weight.detach())
    assert list(load(path)) == ["weight", "bias"]  # in their order


def test_files_without_our_metadata(tmp_path):
    path = tmp_path / "other.safetensors"
    arrays = {"b": np.ones(2, np.float32), "a": np.arange(3)}
    safetensors.numpy.save_file(arrays, path)
    loaded = load(path)
    assert set(loaded) == {"a", "b"}
    assert all(isinstance(x, tg.Tensor) for x in loaded.values())
    assert loaded["a"].tolist() == [0, 1, 2]


def file_of(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_bfloat16_becomes_float32():
    halves = (np.array([1.0, -2.5], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    header = {"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    loaded = load(io.BytesIO(file_of(header, halves.tobytes())))
    assert loaded["x"].dtype == tg.float32
    assert loaded["x"].tolist() == [1.0, -2.5]


@pytest.mark.peers
def test_pytorch_reads_ours_and_we_read_pytorchs(torch, tmp_path):
    torch_files = pytest.importorskip("safetensors.torch")
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    ours = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x = np.random.default_rng(0).standard_normal((5, 3)).astype("f")
    torch_files.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours.load_state_dict(load(tmp_path / "theirs.safetensors"))
    expected = theirs(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours(tg.tensor(x)).detach(), expected, atol=1e-6)

    ours[0].weight.data.mul_(2.0)
    save(ours.state_dict(), tmp_path / "ours.safetensors")
    theirs.load_state_dict(torch_files.load_file(tmp_path / "ours.safetensors"))
    np.testing.assert_allclose(
        theirs(torch.tensor(x)).detach().numpy(), ours(tg.tensor(x)).detach(), atol=1e-6
    )


# Damaged and hostile files ------------------------------------------------------------------------


def mutated(data, rng):
    """The bytes with some changed, cut off, inserted or left out."""
    changed, at = bytearray(data), rng.randrange(len(data))
    kind = rng.randrange(6)
    if kind < 2:
        for _ in range(rng.choice([1, 1, 2, 8])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    elif kind == 2:
        del changed[at:]
    elif kind == 3:
        changed[rng.randrange(8)] = rng.randrange(256)  # the length of the header
    elif kind == 4:
        changed[at:at] = rng.randbytes(rng.randrange(1, 9))
    else:
        del changed[at : at + rng.randrange(1, 9)]
    return bytes(changed)


def test_a_hundred_thousand_damaged_files_give_clear_errors_only():
    data = in_bytes(NEST)
    rng, errors = random.Random(0), 0
    for _ in range(100_000):
        file = io.BytesIO(mutated(data, rng))
        try:
            loaded = load(file)
        except CheckpointError:
            errors += 1
        else:  # a byte that means nothing, or was replaced by itself
            assert same(NEST, loaded)
    assert errors > 99_000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "damaged, cut off"),
        (b"PK\x03\x04 a zip", "a damaged or cut off file of PyTorch"),
        (b"\x80\x02}q\x00.", "is a pickle, .* can run any code"),
        (struct.pack("<Q", 2**62) + b"{}", "damaged"),
        (file_of({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}), "damaged"),
        (file_of({"x": {"dtype": "F32", "shape": [2**62, 4], "data_offsets": [0, 0]}}), "damaged"),
        (file_of({"x": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}, b"0"), "F8_E4"),
        (file_of({"__metadata__": {"tinygrad_opt": "{}"}}), "metadata is incomplete"),
        (struct.pack("<Q", 200_000) + b"[" * 200_000, "damaged"),
    ],
    ids=["empty", "zip", "pickle", "long header", "large tensor", "overflow", "float8",
         "no checksum", "deep"],
)  # fmt: skip
def test_hostile_files(data, message):
    with pytest.raises(CheckpointError, match=message):
        load(io.BytesIO(data))


def test_the_file_is_named(tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(in_bytes(NEST)[:-1])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors cannot be loaded"):
        load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.safetensors")


def test_a_changed_value_is_noticed():
    data = bytearray(in_bytes({"x": tg.ones(4)}))
    data[-1] ^= 1
    with pytest.raises(CheckpointError, match="checksum does not match"):
        load(io.BytesIO(bytes(data)))


# Names, places and writers ------------------------------------------------------------------------

KEYS = {
    "the metadata's name": {"__metadata__": tg.ones(1)},
    "as parts": {"__metadata__": {"": tg.ones(1)}, "": {"__metadata__": tg.zeros(1)}},
    "twins": {1: tg.ones(1), "1": tg.zeros(1)},
    "half a pair": {"\ud800": tg.ones(1)},
    "odd signs": {"a b/\u00fc\n\0.": tg.ones(1)},
    "no text": {None: tg.ones(1), (1, 2.5): 2, True: 3},
    "nothing": {},
    "a tensor": tg.tensor(3.0),
    "zero sizes": {"x": tg.zeros(0, 3, dtype=tg.float16), "y": tg.zeros(2, 0, dtype=tg.bool)},
}


@pytest.mark.parametrize("name", KEYS)
def test_any_key_comes_back(name, tmp_path):
    save(KEYS[name], tmp_path / "x")
    assert same(KEYS[name], load(tmp_path / "x"))


def test_layouts_come_back_plain():
    big = np.arange(6, dtype=">f4").reshape(2, 3)
    again = load(io.BytesIO(in_bytes({"big": big, "back": big[::-1], "n": np.float64(0.5)})))
    assert (again["big"].dtype, again["n"]) == (np.float32, 0.5)
    np.testing.assert_array_equal(again["big"], big)
    np.testing.assert_array_equal(again["back"], big[::-1])


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.ones(1, complex), "an array of complex128 .ndarray. at x; only bools, integers"),
        (np.array([None]), "an array of object"),
        (np.array(["a"]), "an array of <U1"),
        (np.ones(1, np.longdouble), "an array of "),
        (np.ma.array([1.0], mask=[1]), r"float64 \(MaskedArray\) at x.* without a mask"),
        (np.longdouble(1), "a longdouble at x"),
    ],
)
def test_arrays_that_would_not_come_back_are_refused(array, said):
    with pytest.raises(TypeError, match=said):
        in_bytes({"x": array})


def test_what_holds_itself_is_refused():
    nest = []
    nest.append(nest)
    with pytest.raises(ValueError, match="it holds itself, or is nested too deeply"):
        in_bytes(nest)


def test_errors_name_the_path_that_was_given(tmp_path):
    missing = tmp_path / "none" / "x.safetensors"
    with pytest.raises(FileNotFoundError) as raised:
        save({"x": 1}, missing)
    assert raised.value.filename == str(missing)
    with pytest.raises(IsADirectoryError) as raised:
        save({"x": 1}, tmp_path)
    assert raised.value.filename == str(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_file_that_may_not_be_written_to_stays(tmp_path, monkeypatch):
    path = tmp_path / "x"
    save({"old": 1}, path)
    path.chmod(0o400)
    monkeypatch.setattr(os, "access", lambda *args: False)  # as for others than root
    with pytest.raises(PermissionError) as raised:
        save({"new": 2}, path)
    assert raised.value.filename == str(path)
    assert load(path) == {"old": 1}


def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "x", tmp_path / "link"
    save(1, path)
    path.chmod(0o640)
    link.symlink_to(path)
    save(2, link)
    assert (link.is_symlink(), load(path)) == (True, 2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_written_to(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    save(3, pipe)
    reader.join()
    assert load(io.BytesIO(got[0])) == 3
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_several_threads_save_to_one_path(tmp_path):
    path, errors = tmp_path / "x", []

    def work(n):
        try:
            for _ in range(20):
                save({"x": tg.full((100,), n)}, path)
                assert len(set(load(path)["x"].tolist())) == 1
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert os.listdir(tmp_path) == ["x"]


def test_other_files_are_told_apart(tmp_path):
    np.save(tmp_path / "x.npy", np.ones(1))
    np.savez(tmp_path / "x.npz", x=np.ones(1))
    for name in ("x.npy", "x.npz"):
        with pytest.raises(CheckpointError, match=rf"{name} .* a NumPy file; .* numpy.load"):
            load(tmp_path / name)
    (tmp_path / "text").write_text("no checkpoint")
    with (
        open(tmp_path / "text") as file,
        pytest.raises(TypeError, match="is opened as text; open it with the mode 'rb'"),
    ):
        load(file)
