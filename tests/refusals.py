"""Tables of mistakes that this library and PyTorch refuse with the same words."""

import pytest

import tinygrad_opt


def both_refuse(table):
    """Two tests of the rows (error, text, call of the library): for this one, and for PyTorch."""
    every_row = pytest.mark.parametrize(("kind", "said", "call"), table.values(), ids=table)

    @every_row
    def ours(kind, said, call):
        with pytest.raises(kind, match=said):
            call(tinygrad_opt)

    @pytest.mark.peers
    @every_row
    def theirs(torch, kind, said, call):
        with pytest.raises(kind, match=said):
            call(torch)

    return ours, theirs
