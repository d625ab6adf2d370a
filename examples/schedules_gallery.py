"""Draw every learning-rate scheduler into one page.

python examples/schedules_gallery.py                        # leaves schedules.png
python examples/schedules_gallery.py --out /tmp/page.png
"""

from __future__ import annotations

from common import command_line
from pictures import GREY, RED, looks

import tinygrad_opt
from tinygrad_opt import optim
from tinygrad_opt.optim import lr_scheduler
from tinygrad_opt.optim.plot import plot_schedule
from tinygrad_opt.optim.schedules import anneal, cosine_restarts, warmup

STEPS, RATE, COLUMNS = 100, 1.0, 5
LOSSES = [1.0 - min(step, 40) / 100 - max(0, step - 75) / 100 for step in range(STEPS)]
CYCLE = {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 15}
STABLE = {"warmup_steps": 15, "stable_steps": 45, "decay_steps": 40}


IN_RED = "; momentum in red"

# (class, settings, what to write below its name instead of them).
PANELS = [
    ("FixedLR", {}, "the rate as it is"),
    ("ExponentialDecayLR", {"decay_rate": 0.03}, None),
    ("TimeDecayLR", {"decay_rate": 0.1}, None),
    ("ExponentialLR", {"gamma": 0.96}, None),
    ("PolynomialLR", {"total_iters": 90, "power": 2.0}, None),
    ("ConstantLR", {"factor": 0.3, "total_iters": 40}, None),
    ("LinearLR", {"start_factor": 0.1, "total_iters": 60}, None),
    ("StepLR", {"step_size": 20, "gamma": 0.6}, None),
    ("MultiStepLR", {"milestones": [25, 70, 85], "gamma": 0.5}, None),
    ("LambdaLR", {"lr_lambda": lambda t: (1 + t) ** -0.5}, "1 / √(1 + t)"),
    ("MultiplicativeLR", {"lr_lambda": lambda t: 1 - 1 / (t + 5)}, "times 1 - 1 / (t + 5)"),
    ("CosineAnnealingLR", {"T_max": 60, "eta_min": 0.1}, None),
    ("CosineAnnealingWarmRestarts", {"T_0": 15, "T_mult": 2}, None),
    ("CosineRestartsLR", {"T_0": 15, "T_mult": 1.5}, None),
    (
        "ScheduleLR",
        {"formula": warmup(10) * cosine_restarts(30, end_factor=0.2)},
        "warmup(10) * cosine_restarts(30)",
    ),
    ("CyclicLR", CYCLE, "triangular" + IN_RED),
    ("CyclicLR", {**CYCLE, "mode": "triangular2"}, "triangular2" + IN_RED),
    ("CyclicLR", {**CYCLE, "mode": "exp_range", "gamma": 0.99}, "exp_range, gamma=0.99" + IN_RED),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": STEPS}, "total_steps=100" + IN_RED),
    (
        "OneCycleLR",
        {"max_lr": 1.0, "total_steps": STEPS, "three_phase": True},
        "three_phase" + IN_RED,
    ),
    ("WarmupCosineLR", {"warmup_steps": 15, "total_steps": STEPS}, None),
    ("WarmupStableDecayLR", STABLE, "15 steps up, 45 stable, 40 down: 1-sqrt"),
    ("WarmupStableDecayLR", {**STABLE, "cooldown": "linear"}, 'the same, cooldown="linear"'),
    ("InverseSqrtLR", {"warmup_steps": 15}, None),
    (
        "PlateauLR",
        {"schedule": warmup(15), "factor": 0.5, "patience": 9},
        "warmup(15); no better from step 40 to 75",
    ),
    ("ReduceLROnPlateau", {"factor": 0.5, "patience": 9}, "no better from step 40 to 75"),
    ("SWALR", {"swa_lr": 0.2, "anneal_epochs": 50}, None),
    (
        "SequentialLR",
        [("LinearLR", 0.1, 1.0, 30), ("CosineAnnealingLR", 70)],
        "LinearLR, then CosineAnnealingLR",
    ),
    (
        "ChainedScheduler",
        [("ConstantLR", 0.4, 40), ("ExponentialLR", 0.98)],
        "ConstantLR and ExponentialLR",
    ),
    (
        "HyperparameterScheduler",
        {"name": "momentum", "schedule": anneal(0.5, 0.95, 70)},
        "anneal(0.5, 0.95, 70)" + IN_RED,
    ),
]


def build(name, settings):
    """The scheduler of a panel, on an optimizer of its own."""
    optimizer = optim.SGD([tinygrad_opt.zeros(1, requires_grad=True)], lr=RATE, momentum=0.9)
    make = getattr(lr_scheduler, name)
    if isinstance(settings, dict):
        return make(optimizer, **settings)
    parts = [getattr(lr_scheduler, part)(optimizer, *rest) for part, *rest in settings]
    return make(parts) if name == "ChainedScheduler" else make(optimizer, parts, [30])


def draw_panel(axes, name, settings, text):
    """Draw one scheduler; in red the momentum, where it moves."""
    scheduler = build(name, settings)
    if name != "HyperparameterScheduler":
        plot_schedule(scheduler, steps=STEPS, metrics=LOSSES, ax=axes)
    if text is not None and text.endswith(IN_RED):
        plot_schedule(scheduler, steps=STEPS, parameter="momentum", ax=axes)
        axes.lines[-1].set_color(RED)
    for line in axes.lines:
        line.set_linewidth(1.3)  # the steps are to be seen
    axes.set_title(name, pad=16, size=10.5)
    if text is None:
        text = ", ".join(
            f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in settings.items()
        )
    note = axes.text(0, 1.04, text, transform=axes.transAxes, size=7.5, color=GREY)
    note.set_in_layout(False)  # one may be wider than its panel
    axes.title.set_in_layout(False)
    axes.set(xlabel="", ylabel="", xlim=(0, STEPS), ylim=(0, 1.05), yticks=[0, 0.5, 1])


def draw(options):
    """Draw all panels into one page."""
    rows = len(PANELS) // COLUMNS
    for look in looks(options.out, options.dark):
        title = "Learning rate over 100 steps, initially 1"
        figure = look.figure(2.6 * COLUMNS, 2 * rows + 0.8, title)
        grid = figure.subplots(rows, COLUMNS, squeeze=False)
        for axes, panel in zip(grid.flat, PANELS, strict=True):
            draw_panel(axes, *panel)
        look.save(figure)


def main():
    """Draw the page."""
    options = command_line(__doc__, "schedules.png", quick=False).parse_args()
    draw(options)
    print(f"{len(PANELS)} schedulers drawn into {options.out}")


if __name__ == "__main__":
    main()
