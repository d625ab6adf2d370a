"""Loops that are written in LLVM's code: operators, blocks of sums, rearranging, running."""

from __future__ import annotations

import micro_loops
import numpy as np
import pytest

from tinygrad_opt.kernels import micro
from tinygrad_opt.kernels.compiler import files
from tinygrad_opt.kernels.micro import machine, tiles
from tinygrad_opt.kernels.micro.tiles import Registers

WIDTHS = {"own": None, "SSE": Registers(16, 16), "AVX-512": Registers(64, 32)}


@pytest.fixture(params=WIDTHS)
def _width(request, monkeypatch):
    """Vectors of other widths: LLVM makes of them what this processor has."""
    with pytest.MonkeyPatch.context() as patch:
        if WIDTHS[request.param] is not None:
            patch.setattr(micro, "registers", lambda: WIDTHS[request.param])
        for remembered in (micro.kind_of, micro.loops):
            remembered.cache_clear()
        yield
    for remembered in (micro.kind_of, micro.loops):
        remembered.cache_clear()


def run(write, dtype, plan, *arrays):
    micro.loops(write, np.dtype(dtype).char)(1, 1, np.array(plan, np.int64).ravel(), *arrays)


def normal(*shape, dtype):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def test_operators_write_what_they_say():
    to = np.zeros(12, np.int64)
    micro.loops(micro_loops.arithmetic, "f")(12, 5, np.array([4]), *[np.zeros(1)] * 3, to)
    usual = [(3 + i * 5 - 2) // 4 + i % 4 + (100 - i) for i in range(12)]
    expected = [usual[0], usual[1], -1, 500, 400, *(min(usual[i], 90) for i in (5, 6, 7))]
    assert to.tolist() == [*expected, 6, 8, 8, 10]


@pytest.mark.parametrize("count", [0, 1, 9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["tall_tile", "flat_tile", "tile_of_vectors"])
@pytest.mark.usefixtures("_width")
def test_blocks_of_sums(name, dtype, count):
    kind = micro.kind_of(np.dtype(dtype).char)
    rows, vectors = {"tall_tile": (kind.tall, 2), "flat_tile": (2, 6), "tile_of_vectors": (4, 3)}[
        name
    ]
    spread, rng = name != "tile_of_vectors", np.random.default_rng(1)
    a = normal(500, dtype=dtype)
    b = normal(500, dtype=dtype)
    row, step_a, column, step_b = (
        rng.integers(0, 200, n) for n in (rows, count, vectors, count)
    )  # fmt: skip
    to = np.full((rows, vectors, kind.lanes), np.nan, dtype)
    offsets = np.concatenate([row, step_a, column, step_b]) * kind.size
    run(getattr(micro_loops, name), dtype, [count, *offsets], a, b, to[:0], to)
    lanes = np.arange(kind.lanes)
    left = a[(row[:, None] + step_a)[:, :, None] + (0 * lanes if spread else lanes)]
    right = b[(column[:, None] + step_b)[:, :, None] + lanes]
    expected = np.einsum("ikl,jkl->ijl", left.astype(float), right.astype(float))
    np.testing.assert_allclose(to, expected, rtol=0, atol=2e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("count", [0, 1, 16, 37])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("_width")
def test_formulas_of_each_element(dtype, count):
    x, y = normal(40, dtype=dtype), normal(40, dtype=dtype)[::-1].copy()
    before, to = x.copy(), np.full(40, np.nan, dtype)
    run(micro_loops.elements, dtype, [count], x, y, to[:0], to)
    expected = np.where(before < 0, 2, before * y + (1 - before))
    np.testing.assert_allclose(to[:count], expected[:count], rtol=2e-6, atol=2e-6)
    np.testing.assert_array_equal(x, np.where(np.arange(40) < count, abs(before), before))
    assert np.isnan(to[count:]).all()


@pytest.mark.parametrize("count", [0, 1, 7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("_width")
def test_products_of_matrices_need_no_tables(dtype, count):
    kind = micro.kind_of(np.dtype(dtype).char)
    a = normal(kind.tallest, count, dtype=dtype)
    b = normal(count, 2 * kind.lanes, dtype=dtype)
    to = np.empty((kind.tallest, 2 * kind.lanes), dtype)
    run(micro_loops.even_tile, dtype, [count], a, b, to[:0], to)
    np.testing.assert_allclose(to, a @ b, rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 8, 16, 21, 35])
@pytest.mark.parametrize("missing", [0, 1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("_width")
def test_rows_become_columns_and_back(dtype, missing, count):
    kind = micro.kind_of(np.dtype(dtype).char)
    rows = max(1, kind.lanes - missing)
    x, zeros = normal(rows, count + 2, dtype=dtype), np.zeros(kind.lanes, dtype)
    to = np.full((count, kind.lanes + 3), 7, dtype)
    plan = [x.strides[0], rows, count, to.strides[0]]
    run(micro_loops.gathered, dtype, plan, x, zeros, to[:0], to)
    np.testing.assert_array_equal(to[:, :rows], x[:, :count].T)
    assert not to[:, rows : kind.lanes].any()
    assert (to[:, kind.lanes :] == 7).all()
    back = np.full((rows, count + 1), 7, dtype)
    plan = [to.strides[0], rows, count, back.strides[0]]
    run(micro_loops.scattered, dtype, plan, to, zeros, to[:0], back)
    np.testing.assert_array_equal(back[:, :count], x[:, :count])
    assert (back[:, count:] == 7).all()


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 7, 8, 9, 11, 12, 16, 17, 35])
@pytest.mark.parametrize(
    ("ways", "first"), [(1, 0), (2, 1), (3, 0), (3, 2), (4, 0), (4, 3), (5, 4)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.usefixtures("_width")
def test_lines_are_dealt_out_and_collected(dtype, ways, first, count):
    x = normal(count, dtype=dtype)
    to = np.full((ways, 40), 7, dtype)
    expected = to.copy()
    for k, value in enumerate(x):
        expected[(first + k) % ways, (first + k) // ways] = value
    plan = [count, first, ways, to.strides[0]]
    run(micro_loops.dealt, dtype, plan, x, x[:0], x[:0], to)
    np.testing.assert_array_equal(to, expected)
    back = np.full(count + 1, 7, dtype)
    run(micro_loops.collected, dtype, plan, to, x[:0], x[:0], back)
    np.testing.assert_array_equal(back, [*x, 7])
    back[:] = 7
    run(micro_loops.copied, dtype, [count], x, x[:0], x[:0], back)
    np.testing.assert_array_equal(back, [*x, 7])


@pytest.mark.parametrize(
    ("machine", "features", "expected"),
    [
        ("x86_64-unknown-linux-gnu", "+sse2,+avx2,+avx512f", (64, 32)),
        ("x86_64-unknown-linux-gnu", "+sse2,+avx2,-avx512f", (32, 16)),
        ("x86_64-apple-darwin", "", (16, 16)),
        ("arm64-apple-darwin", "+neon", (16, 32)),
        ("aarch64-unknown-linux-gnu", "", (16, 32)),
        ("ppc64le-unknown-linux-gnu", "+altivec", (16, 16)),
    ],
)
def test_registers_of_processors(machine, features, expected, monkeypatch):
    class Codegen:
        def magic_tuple(self):
            return machine, "some", features

    monkeypatch.setattr(tiles.cpu_target.target_context, "codegen", Codegen)
    assert tiles.registers.__wrapped__() == expected


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("registers", [16, 32])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_have_room_in_the_registers(dtype, width, registers):
    kind = micro.Kind(dtype, width, registers)
    for rows, vectors in [(kind.tallest, 2), (kind.tall, 2), (kind.tall, 1), (4, 3), *kind.flat]:
        assert rows * vectors + min(rows, vectors) + 1 <= registers
    assert all(tiles.SPAN % vectors == 0 for _, vectors in kind.flat)


@pytest.fixture
def _anew(monkeypatch):
    """Nothing is in this process yet, and what is made goes to an engine of its own."""
    monkeypatch.setattr(machine, "_bound", {})
    engine = machine._engine.__wrapped__()
    monkeypatch.setattr(machine, "_engine", lambda: engine)
    monkeypatch.setattr(machine.llvm, "add_symbol", lambda *_: None)


COPIED = micro_loops.__name__, "copied", "float32", *tiles.registers(), 7


@pytest.mark.usefixtures("_anew")
def test_a_change_of_the_source_is_another_file(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path / "kernels"))
    for source in ("one", "two", "one"):
        machine._bound.clear()
        monkeypatch.setattr(machine, "_address", lambda symbol, code: 0)
        machine.bind(*COPIED, source)
    assert len(list((tmp_path / "kernels").glob("copied_*.o"))) == 2


@pytest.mark.usefixtures("_anew")
def test_machine_code_is_kept_on_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path / "kernels"))
    symbol, address = machine.bind(*COPIED, "source")
    assert address
    assert machine.bind(*COPIED, "source") == (symbol, address)
    machine._bound.clear()
    monkeypatch.setattr(machine, "_machine_code", None)  # nothing is made any more
    loaded = []
    monkeypatch.setattr(machine, "_address", lambda _, code: loaded.append(code) or 1)
    assert machine.bind(*COPIED, "source") == (symbol, 1)
    (file,) = (tmp_path / "kernels").glob("copied_*.o")
    assert loaded == [files.sealed(file)]


@pytest.mark.usefixtures("_anew")
@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda b: b[:-1] + b"?", lambda b: b""])
def test_damaged_machine_code_is_made_anew(monkeypatch, tmp_path, damage):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path / "kernels"))
    machine.bind(*COPIED, "source")
    (file,) = (tmp_path / "kernels").glob("copied_*.o")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    machine._bound.clear()
    assert machine.bind(*COPIED, "source")[1]
    assert file.read_bytes() == whole


@pytest.mark.usefixtures("_anew")
def test_without_a_folder_machine_code_is_made_in_memory(monkeypatch, tmp_path):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path / "taken"))
    monkeypatch.setattr(machine.cache, "_warned", False)
    with pytest.warns(RuntimeWarning, match="kernels are compiled anew in every process"):
        assert machine.bind(*COPIED, "source")[1]
