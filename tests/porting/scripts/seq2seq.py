# ruff: noqa  (as people write them)
"""Translation with nn.Transformer: masks, teacher forcing, label smoothing, Noam's rate, greedy."""

import math

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor
from torch.nn import Transformer
from torch.optim.lr_scheduler import LambdaLR

PAD, BOS, EOS = 0, 1, 2


class PositionalEncoding(nn.Module):
    def __init__(self, emb_size: int, maxlen: int = 50):
        super().__init__()
        den = torch.exp(-torch.arange(0, emb_size, 2) * math.log(10000) / emb_size)
        pos = torch.arange(0, maxlen).reshape(maxlen, 1)
        embedding = torch.zeros((maxlen, emb_size))
        embedding[:, 0::2] = torch.sin(pos * den)
        embedding[:, 1::2] = torch.cos(pos * den)
        self.register_buffer("pos_embedding", embedding.unsqueeze(-2))

    def forward(self, x: Tensor):
        return x + self.pos_embedding[: x.size(0), :]


class Seq2Seq(nn.Module):
    def __init__(self, vocab, width=8):
        super().__init__()
        self.transformer = Transformer(
            d_model=width,
            nhead=2,
            num_encoder_layers=1,
            num_decoder_layers=1,
            dim_feedforward=16,
            dropout=0.0,
        )
        self.generator = nn.Linear(width, vocab)
        self.emb = nn.Embedding(vocab, width)
        self.width = width
        self.positional_encoding = PositionalEncoding(width)

    def embed(self, tokens: Tensor):
        return self.positional_encoding(self.emb(tokens.long()) * math.sqrt(self.width))

    def forward(self, src, trg, tgt_mask, src_padding_mask, tgt_padding_mask):
        outs = self.transformer(
            self.embed(src),
            self.embed(trg),
            None,
            tgt_mask,
            None,
            src_padding_mask,
            tgt_padding_mask,
            src_padding_mask,
        )
        return self.generator(outs)


def square_mask(size):
    mask = (torch.triu(torch.ones((size, size))) == 1).transpose(0, 1)
    return mask.float().masked_fill(mask == 0, float("-inf")).masked_fill(mask == 1, 0.0)


def main(fill):
    rng = np.random.default_rng(9)
    model = fill(Seq2Seq(11), rng)
    model.train()
    loss_fn = nn.CrossEntropyLoss(ignore_index=PAD, label_smoothing=0.1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)
    scheduler = LambdaLR(optimizer, lambda s: 8**-0.5 * min((s + 1) ** -0.5, (s + 1) * 4**-1.5))
    src = torch.tensor(rng.integers(3, 11, (5, 4)))
    src[3:, 1] = PAD
    tgt = torch.cat([torch.full((1, 4), BOS), src.flip(0), torch.full((1, 4), EOS)])
    losses = []
    for step in range(3):
        tgt_input, tgt_out = tgt[:-1, :], tgt[1:, :]
        tgt_mask = square_mask(tgt_input.size(0))
        src_padding = (src == PAD).transpose(0, 1)
        tgt_padding = torch.zeros_like(tgt_input == PAD).transpose(0, 1)
        logits = model(src, tgt_input, tgt_mask, src_padding, tgt_padding.float())
        optimizer.zero_grad()
        loss = loss_fn(logits.reshape(-1, logits.shape[-1]), tgt_out.reshape(-1))
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    model.eval()
    ys = torch.ones(1, 1).fill_(BOS).type(torch.long)
    with torch.inference_mode():
        memory = model.transformer.encoder(model.embed(src[:, :1]))
        for i in range(4):
            out = model.transformer.decoder(model.embed(ys), memory, square_mask(ys.size(0)))
            prob = model.generator(out.transpose(0, 1)[:, -1])
            _, next_word = torch.max(prob, dim=1)
            ys = torch.cat([ys, torch.ones(1, 1).type_as(src.data).fill_(next_word.item())], dim=0)
    return losses + ys.flatten().tolist()
