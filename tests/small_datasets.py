"""Datasets that are small enough to see through."""

import tinygrad_opt as T
from tinygrad_opt.utils.data import Dataset, IterableDataset, TensorDataset


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i, float(i * i)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(5))


class SizedStream(Stream):
    def __len__(self):
        return 5


def pairs(n=10):
    return TensorDataset(T.arange(n), T.arange(n).float() * 2)
