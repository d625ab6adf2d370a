"""Train a small GPT, letter by letter, on the manual that `help()` prints; let it write its own.

python examples/char_gpt.py                    # two or three minutes; leaves char_gpt.png
python examples/char_gpt.py --quick --out /tmp/gpt.png

What is learnt: a transformer in forty lines; causal attention, where each letter sees those before
it; AdamW that leaves biases, norms and positions alone; a warm-up, then half a cosine; clipped
gradients; sampling. The dashed lines in the picture tell what simpler guesses would cost.
"""

from __future__ import annotations

import math
import sys
import textwrap
from pydoc_data.topics import topics  # about 460,000 letters, part of every Python

import numpy as np
from common import command_line
from pictures import BLUE, GREY, INK, PALE, looks

import tinygrad_opt as torch
from tinygrad_opt import nn, optim
from tinygrad_opt.nn import functional as F
from tinygrad_opt.nn.utils import clip_grad_norm_
from tinygrad_opt.optim.lr_scheduler import WarmupCosineLR
from tinygrad_opt.training import progress

CONTEXT, WIDTH, HEADS, LAYERS, BATCH = 64, 96, 4, 3, 32


class Block(nn.Module):
    """Letters look at one another, then each thinks for itself; both add to what was there."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.think = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
        )

    def heads(self, x):
        """Queries, keys and values, each (n, HEADS, length, WIDTH / HEADS)."""
        n, length, _ = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(n, length, 3, HEADS, WIDTH // HEADS)
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x):
        """(n, length, WIDTH) to the same."""
        seen = F.scaled_dot_product_attention(*self.heads(x), is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(*x.shape))
        return x + self.think(self.norm2(x))


class GPT(nn.Module):
    """Scores for the letter that follows each of the letters it is given."""

    def __init__(self, letters: int):
        super().__init__()
        self.letter = nn.Embedding(letters, WIDTH)
        self.position = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, letters, bias=False)
        for table in (self.letter, self.position, self.head):
            nn.init.normal_(table.weight, std=0.02)  # begin with a guess that favours no letter

    def embed(self, text):
        """What goes into the first block: (n, length, WIDTH) for integers (n, length)."""
        return self.letter(text) + self.position(torch.arange(text.shape[1]))

    def forward(self, text):
        """(n, length, letters) for integers (n, length), length at most CONTEXT."""
        return self.head(self.norm(self.blocks(self.embed(text))))


def cost(model, text, starts):
    """Nats for each letter, over pieces of the text that begin at `starts`."""
    pieces = text[starts[:, None] + torch.arange(CONTEXT + 1)]  # (n, CONTEXT + 1)
    return F.cross_entropy(model(pieces[:, :-1]).flatten(0, 1), pieces[:, 1:].flatten())


def train(model, text, unseen, steps):
    """Train on random pieces; return the loss of each step, and (step, loss on unseen text)."""
    groups = optim.param_groups_weight_decay(model, 0.1, no_decay=["position.*"])
    optimizer = optim.AdamW(groups, lr=4e-3, betas=(0.9, 0.95))
    scheduler = WarmupCosineLR(optimizer, steps // 20, steps, end_factor=0.05)
    everywhere = torch.arange(0, len(unseen) - CONTEXT - 1, 16 * CONTEXT)

    losses, held_out = [], []
    bar = progress(range(1, steps + 1), "training", unit="step")
    for step in bar:
        optimizer.zero_grad()
        loss = cost(model, text, torch.randint(0, len(text) - CONTEXT, (BATCH,)))
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)  # one odd piece must not undo many good steps
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        if step % (steps // 10) == 0:
            with torch.no_grad():
                held_out.append((step, cost(model, unseen, everywhere).item()))
            bar.set_postfix(loss=f"{losses[-1]:.2f}", held_out=f"{held_out[-1][1]:.2f}")
    return losses, held_out


@torch.no_grad()
def write(model, letters, start, length, temperature=0.6):
    """Continue `start`, letter by letter; below temperature 1 likely letters get likelier."""
    text = [letters.index(letter) for letter in start]
    for _ in range(length):
        scores = model(torch.tensor([text[-CONTEXT:]]))[0, -1] / temperature
        text.append(torch.multinomial(scores.softmax(dim=0), 1).item())
    return "".join(letters[i] for i in text)


@torch.no_grad()
def attention(model, text, layer):
    """Where each letter looks in one layer, for all heads: (HEADS, length, length)."""
    q, k, _ = model.blocks[layer].heads(model.blocks[:layer](model.embed(text[None])))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    later = torch.ones(*scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -torch.inf).softmax(dim=-1)[0].numpy()


def simpler_guesses(text):
    """What it costs to know no letter is likelier; how often each comes; and after which."""
    pairs = np.zeros((text.max() + 1,) * 2)
    np.add.at(pairs, (text[:-1], text[1:]), 1 / (len(text) - 1))
    either, first = -np.log(pairs[pairs > 0]), pairs.sum(axis=1)
    alone = -(first[first > 0] * np.log(first[first > 0])).sum()
    both = (pairs[pairs > 0] * either).sum()
    return {"all alike": math.log(len(pairs)), "how often": alone, "after which": both - alone}


def draw(options, losses, held_out, guesses, maps, line, sample):
    """Draw the loss, where the heads look, and what was written."""
    for look in looks(options.out, options.dark):
        text = f"A GPT reads Python's manual: {held_out[-1][1]:.2f} nats a letter on unseen pages"
        figure = look.figure(11, 6.4, text)
        above, below = figure.subfigures(2, 1, height_ratios=[1, 1])
        left, right = above.subplots(1, 2)
        draw_losses(left, losses, held_out, guesses)
        right.axis("off")
        right.set_title("what it writes")
        lines = [part for row in sample.split("\n") for part in textwrap.wrap(row, 84) or [""]]
        text = "\n".join(lines[:20]).replace("$", r"\$")
        right.text(0, 0.98, text, family="monospace", size=8, va="top", transform=right.transAxes)
        below.suptitle(
            "where the heads of layer 2 look: each row is a letter", x=0.02, ha="left", size=12
        )
        for axes, picture in zip(below.subplots(1, HEADS), maps, strict=True):
            axes.imshow(
                picture**0.5, cmap=look.shades(BLUE), vmin=0, vmax=1
            )  # the root shows faint looks
            axes.set_xticks(range(len(line)), line, family="monospace", size=6)
            axes.set_yticks(range(len(line)), line, family="monospace", size=6)
            axes.grid(False)
        look.save(figure)


def draw_losses(axes, losses, held_out, guesses):
    """The loss of each step, of unseen text, and of simpler guesses."""
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, color=PALE, linewidth=1, label="each batch")
    axes.plot(*zip(*held_out, strict=True), "o-", color=BLUE, markersize=4, label="unseen text")
    for name, value in guesses.items():
        axes.axhline(value, color=GREY, linewidth=1, linestyle="--")
        axes.text(len(losses), value + 0.04, name, color=INK, ha="right", size=9)
    axes.set(title="nats for each letter", xlabel="step", ylim=(0.8, None))
    axes.legend(loc="upper right", bbox_to_anchor=(0.62, 0.98))


def main():
    """Train on nine tenths of the manual, measure on the rest, write, draw."""
    options = command_line(__doc__, "char_gpt.png").parse_args()
    torch.manual_seed(0)
    manual = "\n\n".join(topics[name] for name in sorted(topics))
    letters = sorted(set(manual))
    number = {letter: i for i, letter in enumerate(letters)}
    text = torch.tensor([number[letter] for letter in manual])
    cut = len(text) * 9 // 10
    model = GPT(len(letters))
    losses, held_out = train(model, text[:cut], text[cut:], 40 if options.quick else 1000)

    sample = write(model, letters, "The statement ", 40 if options.quick else 1400)
    line = "for name in the list of names:"
    maps = attention(model, torch.tensor([number[letter] for letter in line]), layer=1)
    guesses = simpler_guesses(text.numpy())
    draw(options, losses, held_out, guesses, maps, line, sample)
    print(sample)
    print(f"\nheld-out loss {held_out[-1][1]:.3f} nats a letter; see {options.out}")
    target = guesses["how often"] if options.quick else 1.6
    if held_out[-1][1] > target:
        sys.exit(f"that is above the {target:.2f} nats this network should reach")


if __name__ == "__main__":
    main()
