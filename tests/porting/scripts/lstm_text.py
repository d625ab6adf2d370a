# ruff: noqa  (as people write them)
"""Sequences of several lengths: collate_fn, packing, a bidirectional LSTM."""

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset


class Sentences(Dataset):
    def __init__(self, rng, n=12):
        self.items = [torch.tensor(rng.integers(1, 20, rng.integers(2, 7))) for _ in range(n)]
        self.labels = [int(item.sum() % 2) for item in self.items]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index], self.labels[index]


def collate(batch):
    texts, labels = zip(*batch)
    lengths = torch.tensor([len(t) for t in texts], dtype=torch.long)
    return pad_sequence(texts, batch_first=True, padding_value=0), lengths, torch.tensor(labels)


class Classifier(nn.Module):
    def __init__(self, vocab=20, dim=6, hidden=5):
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim, padding_idx=0)
        self.lstm = nn.LSTM(dim, hidden, num_layers=2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, 1)

    def forward(self, text, lengths):
        packed = pack_padded_sequence(
            self.embedding(text), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        output, (h, c) = self.lstm(packed)
        padded, _ = pad_packed_sequence(output, batch_first=True)
        mask = (text != 0).unsqueeze(-1)
        pooled = (padded * mask).sum(dim=1) / lengths.unsqueeze(1)
        return self.out(pooled + torch.cat([h[-2], h[-1]], dim=1)).squeeze(-1)


def main(fill):
    rng = np.random.default_rng(2)
    loader = DataLoader(Sentences(rng), batch_size=4, collate_fn=collate)
    model = fill(Classifier(), rng)
    with torch.no_grad():
        model.embedding.weight[0].fill_(0)
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for epoch in range(2):
        for text, lengths, labels in loader:
            optimizer.zero_grad()
            logits = model(text, lengths)
            loss = criterion(logits, labels.float())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            losses.append(loss.item())
    accuracy = ((torch.sigmoid(logits) > 0.5).long() == labels).float().mean()
    return [*losses, accuracy.item()]
