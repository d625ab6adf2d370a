"""Writes new.pt and old.pt: one nest in PyTorch's format of today and of before 1.6.

make golden          (needs the extra `peers`)
"""

from __future__ import annotations

import collections
from pathlib import Path

FOLDER = Path(__file__).with_name("files")


def nest(torch):
    """What the files hold."""
    base = torch.arange(6.0).view(2, 3)
    return {
        "w": torch.nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]])), "base": base,
        "view": base[:, 1:], "n": torch.tensor(7), "leaf": torch.ones(1, requires_grad=True),
        "half": torch.tensor([1.5], dtype=torch.float16), "flag": torch.tensor([True, False]),
        "bf": torch.tensor([1.5, -2.0]).bfloat16(), "dtype": torch.int64, "text": "\u00e9",
        "device": torch.device("cuda:1"), "size": torch.Size([2, 3]), "set": {1, 2}, "z": 1 + 2j,
        "ordered": collections.OrderedDict(a=1), "none": None, "list": [1, 2.5, (True, b"raw")],
    }  # fmt: skip


def main():
    import torch

    FOLDER.mkdir(exist_ok=True)
    for name, new in (("new.pt", True), ("old.pt", False)):
        torch.save(nest(torch), FOLDER / name, _use_new_zipfile_serialization=new)
        print(name, (FOLDER / name).stat().st_size, "bytes")


if __name__ == "__main__":
    main()
