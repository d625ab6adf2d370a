"""`each` goes through all values of a parameter, and says which of them fail."""

import pytest
from each import each

import tinygrad_opt as tg


def test_all_values_are_gone_through_from_the_same_seed():
    seen = []

    @each("value", [1, 2])
    @each("other", {"a": 10, "b": 20})
    def run(value, other):
        seen.append((value, other, tg.rand(1).item()))

    run()
    assert [row[:2] for row in seen] == [(1, 10), (1, 20), (2, 10), (2, 20)]
    assert len({drawn for *_, drawn in seen}) == 1


@each("bad", [1, 3])
def test_what_fails_is_named(bad):
    @each("value", [1, 2, 3])
    def run(value):
        assert value != bad

    with pytest.raises(AssertionError) as error:
        run()
    assert error.value.__notes__ == [f"value: {bad}"]


def test_all_that_fail_are_named():
    @each("value", {"one": 1, "two": 2, "three": 3})
    def run(value):
        assert value == 2

    with pytest.raises(ExceptionGroup, match="2 of 3 values") as group:
        run()
    assert [e.__notes__ for e in group.value.exceptions] == [["value: one"], ["value: three"]]


def test_skipping_is_refused():
    @each("value", [1, 2])
    def run(value):
        pytest.skip("none of these")

    with pytest.raises(RuntimeError, match="one value cannot be skipped"):
        run()


@pytest.mark.parametrize("way", ["here", "there"])
@each("value", [1, 2])
def test_it_goes_with_parameters_and_fixtures(value, way, tmp_path):
    assert (value in (1, 2), way in ("here", "there"), tmp_path.is_dir()) == (True, True, True)
