"""NumPy arrays that are not plain: in another byte order, unaligned, of another class or type."""

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt.utils.data import DataLoader, default_collate, default_convert

RECORDS = np.array([(1, 1.5), (2, 2.5)], dtype=[("a", "i1"), ("b", "f4")])
UNALIGNED = np.frombuffer(b"\0" + np.array([1.0, 2.0]).tobytes(), np.uint8)[1:].view("f8")
TURNED = {  # array: the type it has as a tensor
    ">f2": (np.array([1.0, 2.0], ">f2"), "float16"),
    ">f4": (np.array([1.0, 2.0], ">f4"), "float32"),
    ">f8": (np.array([1.0, 2.0], ">f8"), "float64"),
    ">i2": (np.array([1, 2], ">i2"), "int16"),
    ">i8": (np.array([1, 2], ">i8"), "int64"),
    "unaligned": (UNALIGNED, "float64"),
    "a field": (np.array([(0, 1.0), (0, 2.0)], RECORDS.dtype)["b"], "float32"),
}
PLAIN = {
    "backwards": (np.array([2.0, 1.0])[::-1], "float64"),
    "broadcast": (np.array([[1.0, 2.0]]).repeat(1, 0)[0], "float64"),
    "matrix": (np.array([[1.0, 2.0]]).view(np.matrix), "float64"),
}
DOORS = {
    "tensor": tg.tensor,
    "as_tensor": tg.as_tensor,
    "asarray": tg.asarray,
    "new_tensor": lambda a: tg.zeros(1, dtype=tg.as_tensor(a).dtype).new_tensor(a),
    "default_convert": default_convert,
    "collate": lambda a: default_collate([a, a])[0],
    "loader": lambda a: next(iter(DataLoader([a], batch_size=1)))[0],
    "where": lambda a: tg.where(tg.ones(*a.shape) > 0, tg.as_tensor(a), 0),
    "add": lambda a: tg.zeros(*a.shape, dtype=tg.as_tensor(a).dtype) + a,
    "multiply": lambda a: a * tg.ones(*a.shape, dtype=tg.as_tensor(a).dtype),
    "copy_": lambda a: tg.zeros(*a.shape, dtype=tg.as_tensor(a).dtype).copy_(a),
    "Parameter": lambda a: tg.nn.Parameter(a, requires_grad=False),
    "Buffer": tg.nn.Buffer,
}


def plain(x):
    return type(x.array) is np.ndarray and x.array.dtype.isnative and x.array.flags.aligned


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", TURNED)
def test_every_door_turns_bytes(name, door):
    array, dtype = TURNED[name]
    x = DOORS[door](array)
    assert (x.dtype, x.tolist()) == (dtype, [1, 2])
    assert plain(x)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("door", ["tensor", "as_tensor", "asarray", "from_numpy"])
def test_layouts_and_subclasses(name, door):
    array, dtype = PLAIN[name]
    x = getattr(tg, door)(array)
    assert (x.dtype, x.flatten().tolist()) == (dtype, [1, 2])
    assert plain(x)
    assert np.shares_memory(x.array, array) == (door != "tensor")
    assert (x * x).flatten().tolist() == [1, 4]  # a matrix would multiply as one


def test_items_take_any_bytes():
    x = tg.zeros(2)
    x[:] = np.array([1.0, 2.0], ">f8")
    x[0] = np.array([3], ">i4")[0]
    assert x.tolist() == [3, 2]
    x += np.array([1.0, 1.0], ">f4")
    assert (x.dtype, x.tolist()) == (tg.float32, [4, 3])


def test_shared_memory_is_refused_where_it_cannot_be():
    with pytest.raises(ValueError, match="byte order different from the native byte order"):
        tg.from_numpy(np.array([1.0], ">f4"))
    with pytest.raises(ValueError, match="strides not a multiple of the element byte size"):
        tg.from_numpy(RECORDS["b"])
    with pytest.raises(ValueError, match="can't alias memory"):
        tg.asarray(np.array([1.0], ">f4"), copy=False)


REFUSED = {
    "object": np.array([1, 2], object),
    "datetime": np.array(["2020-01-01"], "M8[D]"),
    "timedelta": np.array([1], "m8[s]"),
    "longdouble": np.ones(2, np.longdouble),
    "text": np.array(["a"]),
    "records": RECORDS,
    "uint16": np.ones(2, np.uint16),
    "uint64": np.ones(2, np.uint64),
    "scalar": np.longdouble(1),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("door", ["tensor", "as_tensor", "asarray", "from_numpy"])
def test_types_that_tensors_do_not_have(name, door):
    said = r"can't convert np.ndarray of type .*The only supported types are: float16"
    if name == "scalar" and door == "from_numpy":
        said = "expected np.ndarray"
    with pytest.raises(TypeError, match=said):
        getattr(tg, door)(REFUSED[name])


def test_other_integers_with_a_type():
    x = tg.tensor(np.array([1, 65535], np.uint16), dtype=tg.int32)
    assert (x.dtype, x.tolist()) == (tg.int32, [1, 65535])
    with pytest.raises(RuntimeError, match="Overflow when unpacking long"):
        tg.tensor([2**63])


@pytest.mark.parametrize("door", ["tensor", "as_tensor", "from_numpy"])
def test_masks_are_not_lost(door):
    with pytest.raises(TypeError, match=r"would lose its mask; say array.filled\(value\)"):
        getattr(tg, door)(np.ma.array([1.0, 2.0], mask=[0, 1]))
