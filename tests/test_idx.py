"""IDX files: written and read again, and what is said of those that are broken."""

import gzip
import struct

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt.data.idx import IdxError, load_idx, load_mnist, save_idx

TYPES = [np.uint8, np.int8, np.int16, np.int32, np.float32, np.float64]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ["array-idx", "array.gz"])
def test_what_is_written_is_read(dtype, name, tmp_path):
    array = (np.arange(24) * 5 - 40).astype(dtype).reshape(2, 3, 4)
    save_idx(tmp_path / name, array)
    again = load_idx(tmp_path / name)
    assert again.dtype == dtype
    assert again.dtype.isnative
    np.testing.assert_array_equal(again, array)
    assert (tmp_path / name).read_bytes()[:2] == (b"\x1f\x8b" if ".gz" in name else b"\0\0")


def test_bytes_are_as_the_format_says(tmp_path):
    path = tmp_path / "array"
    save_idx(path, np.array([[1, 258], [-1, 3]], dtype=np.int16))
    golden = "00 00 0b 02  00 00 00 02  00 00 00 02  00 01 01 02 ff ff 00 03"
    assert path.read_bytes() == bytes.fromhex(golden)
    save_idx(path, np.array([[1, 258], [-1, 3]], dtype=">i2"))  # already in that order
    assert path.read_bytes() == bytes.fromhex(golden)


def test_views_scalars_and_nothing(tmp_path):
    for array in (np.arange(6, dtype=np.int32)[::-2], np.float32(2.5), np.zeros((0, 3), np.uint8)):
        save_idx(tmp_path / "array", array)
        np.testing.assert_array_equal(load_idx(tmp_path / "array"), array)
        assert load_idx(tmp_path / "array").flags.writeable


def test_compressed_files_do_not_depend_on_the_clock(tmp_path):
    for name in ("a.gz", "b.gz"):
        save_idx(tmp_path / name, np.zeros(3, np.uint8))
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_other_types_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"hold uint8, int8, .*float64, not int64"):
        save_idx(tmp_path / "array", np.zeros(3, np.int64))


WHOLE = b"\0\0\x08\x01" + struct.pack(">I", 3) + b"abc"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no IDX file; it begins with nothing"),
        (b"<html>", "begins with 3c 68 74 6d"),
        (b"\0\0\x07\x01\0\0\0\0", "no IDX file"),
        (WHOLE[:6], "cut off within the sizes of its 1 dimensions"),
        (WHOLE[:-1], r"cut off; \(3,\) of uint8 are 3 bytes, but 2 follow"),
        (WHOLE + b"d", "longer than its header says"),
        (b"\0\0\x0e\x04" + b"\xff" * 16, "cut off; "),  # 2**131 bytes: nothing is allocated
        (gzip.compress(WHOLE, mtime=0)[:-3], "gzip is damaged or cut off"),
        (gzip.compress(WHOLE, mtime=0)[:12] + b"\xff" * 20, "gzip is damaged or cut off"),
        (gzip.compress(WHOLE[:-1], mtime=0), "cut off; "),
    ],
)
def test_broken_files_are_explained(data, said, tmp_path):
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(data)
    with pytest.raises(IdxError, match=said) as caught:
        load_idx(path)
    assert str(path) in str(caught.value)


def write_mnist(folder, form="{}", part="train", images=None, labels=None):
    images = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3) if images is None else images
    labels = np.array([7, 1], np.uint8) if labels is None else labels
    save_idx(folder / form.format(f"{part}-images-idx3-ubyte"), images)
    save_idx(folder / form.format(f"{part}-labels-idx1-ubyte"), labels)
    return images


@pytest.mark.parametrize("form", ["{}", "{}.gz"])
@pytest.mark.parametrize("train", [True, False])
def test_mnist(form, train, tmp_path):
    written = write_mnist(tmp_path, form, "train" if train else "t10k")
    images, labels = load_mnist(tmp_path, train=train)
    assert images.dtype == tg.float32
    assert labels.dtype == tg.int64
    np.testing.assert_array_equal(images.numpy(), written[:, None].astype(np.float32) / 255)
    assert labels.tolist() == [7, 1]


def test_mnist_with_dots_in_its_names(tmp_path):
    write_mnist(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(str(path).replace("-idx", ".idx"))
    assert load_mnist(str(tmp_path))[0].shape == (2, 1, 4, 3)


def test_missing_files_are_named(tmp_path):
    write_mnist(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none of t10k-images-idx3-ubyte, .*ubyte\.gz"):
        load_mnist(tmp_path, train=False)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"images": np.zeros((2, 12), np.uint8)}, r"expected 3 dimensions of uint8, got \(2, 12\)"),
        ({"labels": np.zeros(2, np.int32)}, r"expected 1 dimensions of uint8, got \(2,\) of int32"),
        ({"labels": np.zeros(5, np.uint8)}, "has 2 images, .* 5 labels"),
    ],
)
def test_files_that_are_no_mnist(wrong, said, tmp_path):
    write_mnist(tmp_path, **wrong)
    with pytest.raises(IdxError, match=said):
        load_mnist(tmp_path)
