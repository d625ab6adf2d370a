"""Read the name of a letter, one character at a time, and say from which script it comes.

python examples/text_classifier.py                    # ten seconds; leaves text_classifier.png
python examples/text_classifier.py --quick --out /tmp/scripts.png

What is learnt: a recurrent network carries what it has read in its state; texts of different
length go through it in one packed batch, so that nothing is computed for padding; its belief can be
asked for after each character. The texts are the names that Unicode gives to letters, which
`unicodedata` knows, and the way they sound gives them away: GGEOLB is Korean, NJYRX is Yi.
"""

from __future__ import annotations

import re
import sys
import unicodedata

import numpy as np
from common import command_line
from pictures import BLUE, GREEN, GREY, INK, ORANGE, PALE, PAPER, PURPLE, RED, looks

import tinygrad_opt as torch
from tinygrad_opt import nn, optim
from tinygrad_opt.nn import functional as F
from tinygrad_opt.nn.utils.rnn import pack_padded_sequence, pad_sequence
from tinygrad_opt.optim.lr_scheduler import CosineAnnealingLR
from tinygrad_opt.training import progress
from tinygrad_opt.utils.data import DataLoader

# (script, how the names of its letters begin)
SCRIPTS = {
    "Hangul": "HANGUL SYLLABLE ",
    "Yi": "YI SYLLABLE ",
    "Ethiopic": "ETHIOPIC SYLLABLE ",
    "Vai": "VAI SYLLABLE ",
    "Canadian": "CANADIAN SYLLABICS ",
    "Cuneiform": "CUNEIFORM SIGN ",
    "Bamum": "BAMUM LETTER ",
}
MOST = 600  # names of one script; Hangul alone has 11,172
COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY, PALE)  # of the scripts
SHOWN = ("GGEOLB", "NJYRX", "NJAEM")


def names() -> tuple[list[str], np.ndarray]:
    """Names that belong to one script only, in random order, and the number of that script."""
    found: dict[str, set[int]] = {}
    for code in range(0x20000):
        name = unicodedata.name(chr(code), "")
        for number, prefix in enumerate(SCRIPTS.values()):
            # The last word says how it is spoken; before it are dialects and the like.
            if name.startswith(prefix) and re.fullmatch("[A-Z]{2,}", name.split()[-1]):
                found.setdefault(name.split()[-1], set()).add(number)
    generator = np.random.default_rng(0)
    pairs = [(name, *scripts) for name, scripts in sorted(found.items()) if len(scripts) == 1]
    kept: list[tuple[str, int]] = []
    for number in range(len(SCRIPTS)):
        own = [pair for pair in pairs if pair[1] == number]
        kept += [own[i] for i in generator.permutation(len(own))[:MOST]]
    kept = [kept[i] for i in generator.permutation(len(kept))]
    return [name for name, _ in kept], np.array([number for _, number in kept])


class Reader(nn.Module):
    """Letters to vectors, a GRU over them, and scores of the scripts from its state."""

    def __init__(self):
        super().__init__()
        self.letter = nn.Embedding(26, 24)
        self.gru = nn.GRU(24, 96, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(96, len(SCRIPTS)))

    def forward(self, text, lengths):
        """(n, scripts) for integers (n, longest) and the length of each text, (n,)."""
        packed = pack_padded_sequence(
            self.letter(text), lengths, batch_first=True, enforce_sorted=False
        )
        _, state = self.gru(packed)  # (layers, n, 96): after the last letter of each text
        return self.head(state[-1])

    def after_each(self, text):
        """Scores after each letter of one text: (length, scripts)."""
        states, _ = self.gru(self.letter(text))  # no batch: (length, 24) to (length, 96)
        return self.head(states)


def encoded(name: str) -> torch.Tensor:
    """A to Z as 0 to 25."""
    return torch.tensor([ord(letter) - ord("A") for letter in name])


def collate(pairs):
    """Texts of different length as one tensor, filled up with 0; their lengths; their scripts."""
    texts = [encoded(name) for name, _ in pairs]
    lengths = torch.tensor([len(text) for text in texts])
    return pad_sequence(texts, batch_first=True), lengths, torch.tensor([n for _, n in pairs])


def train(known, unseen, epochs):
    """Train on pairs (name, script); return the model and, each epoch, loss and accuracy."""
    loader = DataLoader(known, batch_size=64, shuffle=True, collate_fn=collate)
    model = Reader()
    optimizer = optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.1)
    scheduler = CosineAnnealingLR(optimizer, T_max=epochs)

    curve = []
    bar = progress(range(epochs), "training", unit="epoch")
    for _ in bar:
        model.train()
        total = 0.0
        for text, lengths, script in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(text, lengths), script)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(text)
        scheduler.step()
        truth, read = answers(model, unseen)
        curve.append((total / len(known), (truth == read).mean()))
        bar.set_postfix(loss=f"{curve[-1][0]:.3f}", held_out=f"{curve[-1][1]:.1%}")
    return model, curve


@torch.no_grad()
def answers(model, pairs):
    """The scripts that are right, and those that the model names: (n,) each."""
    model.eval()
    text, lengths, script = collate(pairs)
    return script.numpy(), model(text, lengths).argmax(dim=1).numpy()


def draw(options, model, curve, unseen):
    """Draw who is taken for whom, the belief while three names are read, and the accuracy."""
    truth, read = answers(model, unseen)
    for look in looks(options.out, options.dark):
        text = f"{curve[-1][1]:.1%} of {len(unseen)} unseen names are given to the right script"
        figure = look.figure(11, 5.6, text)
        panels = figure.subplot_mosaic(
            [["table", "table", "curve"], ["table", "table", "curve"], list(SHOWN)],
            height_ratios=[1, 1, 1.1],
        )
        draw_table(panels["table"], look, truth, read)
        for name in SHOWN:
            draw_belief(panels[name], model, name)
        percent = [100 * accuracy for _, accuracy in curve]
        panels["curve"].plot(np.arange(1, len(curve) + 1), percent, color=BLUE)
        panels["curve"].set(title="accuracy on unseen names, %", xlabel="epoch")
        bars, names = panels[name].get_legend_handles_labels()
        figure.legend(bars, names, loc="outside lower center", ncols=len(SCRIPTS))
        look.save(figure)


def draw_table(axes, look, truth, read):
    """How often the names of a script (row) were given to each script (column)."""
    counts = np.zeros((len(SCRIPTS),) * 2)
    np.add.at(counts, (truth, read), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap=look.shades(BLUE), vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            color = PAPER if share > 0.5 else INK
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", color=color, size=9)
    axes.set_xticks(range(len(SCRIPTS)), SCRIPTS)
    axes.set_yticks(range(len(SCRIPTS)), SCRIPTS)
    axes.tick_params(labelcolor=INK)
    axes.set_title("the script (row), and what it was taken for")


def draw_belief(axes, model, name):
    """The probability of each script after each letter of one name."""
    with torch.no_grad():
        belief = model.after_each(encoded(name)).softmax(dim=1).numpy()
    bottom = np.zeros(len(name))
    for number, script in enumerate(SCRIPTS):
        shares = belief[:, number]
        axes.bar(range(len(name)), shares, 0.85, bottom, color=COLORS[number], label=script)
        widest = shares.argmax()
        if shares[widest] > 0.3:
            middle = bottom[widest] + shares[widest] / 2
            color = INK if COLORS[number] == PALE else PAPER
            axes.text(widest, middle, script, ha="center", va="center", size=8, color=color)
        bottom += shares
    axes.set_xticks(range(len(name)), name)
    axes.set(yticks=[], title=f"belief while reading {name}")
    axes.grid(False)
    axes.tick_params(axis="x", colors=GREY)


def main():
    """Train on four fifths of the names, measure on the rest, draw."""
    options = command_line(__doc__, "text_classifier.png").parse_args()
    torch.manual_seed(0)
    pairs = list(zip(*names(), strict=True))
    cut = len(pairs) * 4 // 5
    model, curve = train(pairs[:cut], pairs[cut:], epochs=4 if options.quick else 25)
    draw(options, model, curve, pairs[cut:])
    print(f"loss {curve[-1][0]:.3f}, accuracy {curve[-1][1]:.2%}; see {options.out}")
    target = 0.75 if options.quick else 0.85
    if curve[-1][1] < target:
        sys.exit(f"that is below the {target:.0%} this network should reach")


if __name__ == "__main__":
    main()
