"""Schedules as pure functions: values worked out by hand, combining, JSON, and bad settings."""

import json
import math
import pickle

import pytest

from tinygrad_opt.optim import schedules
from tinygrad_opt.optim.schedules import Schedule, from_json

ROOT = math.sqrt(0.5)

# name: (settings, values from step 0 on), each at least once.
GOLDEN = [
    (schedules.fixed(), [1.0, 1.0, 1.0]),
    (schedules.constant(), [1 / 3] * 5 + [1.0, 1.0]),
    (schedules.constant(factor=0.25, total_iters=2), [0.25, 0.25, 1.0, 1.0]),
    (schedules.constant(factor=0.25, total_iters=0), [1.0, 1.0]),
    (schedules.constant(factor=0, total_iters=1), [0, 1.0]),
    (schedules.linear(), [1 / 3, 7 / 15, 0.6, 11 / 15, 13 / 15, 1.0, 1.0]),
    (schedules.linear(0.5, 0.25, total_iters=2), [0.5, 0.375, 0.25, 0.25]),
    (schedules.linear(0.5, 0.25, total_iters=0), [0.25, 0.25]),
    (schedules.step_decay(step_size=3), [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1**2]),
    (schedules.step_decay(step_size=1, gamma=2), [1.0, 2.0, 4.0, 8.0]),
    (schedules.multi_step([3, 1, 3], gamma=0.5), [1.0, 0.5, 0.5, 0.125, 0.125]),
    (schedules.multi_step([1]), [1.0, 0.1]),
    (schedules.exponential(gamma=0.5), [1.0, 0.5, 0.25, 0.125]),
    (schedules.exponential(gamma=0), [1.0, 0.0, 0.0]),
    (schedules.polynomial(), [1.0, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0]),
    (schedules.polynomial(total_iters=2, power=2), [1.0, 0.25, 0.0]),
    (schedules.exponential_decay(decay_rate=math.log(2)), [1.0, 0.5, 0.25, 0.125]),
    (schedules.inverse_time(decay_rate=0.5), [1.0, 1 / 1.5, 0.5, 1 / 2.5, 1 / 3]),
    (schedules.inverse_time(decay_rate=0), [1.0, 1.0]),
    (schedules.multiplicative(lambda step: 1 / step), [1.0, 1.0, 1 / 2, 1 / 6, 1 / 24]),
    (schedules.cosine(T_max=3), [1.0, 0.75, 0.25, 0.0, 0.25, 0.75, 1.0, 0.75]),
    (schedules.cosine(T_max=2, end_factor=0.5), [1.0, 0.75, 0.5, 0.75]),
    (schedules.cosine_restarts(T_0=2), [1.0, 0.5, 1.0, 0.5]),
    (schedules.cosine_restarts(1, T_mult=2), [1.0, 1.0, 0.5, 1.0, 0.5 + ROOT / 2, 0.5]),
    (schedules.cosine_restarts(2, T_mult=1.5, end_factor=0.2), [1.0, 0.6, 1.0, 0.8, 0.4, 1.0]),
    (schedules.anneal(0.8, 0.4, steps=2), [0.8, 0.6, 0.4, 0.4]),
    (schedules.anneal(0, 4, steps=4, strategy="linear"), [0, 1, 2, 3, 4, 4]),
    (schedules.anneal(0, 4, steps=4), [0, 2 - 2 * ROOT, 2, 2 + 2 * ROOT, 4, 4]),
    (schedules.anneal(0, 4, steps=0), [4, 4]),
    (schedules.cyclic(1, 3, step_size_up=2), [1, 2, 3, 2, 1, 2]),
    (schedules.cyclic(1, 3, 1, step_size_down=2), [1, 3, 2, 1, 3]),
    (schedules.cyclic(0, 4, 1, mode="triangular2"), [0, 4, 0, 2, 0, 1]),
    (schedules.cyclic(0, 8, 1, mode="exp_range", gamma=0.5), [0, 4, 0, 1]),
    (schedules.cyclic(3, 1, step_size_up=2), [3, 2, 1, 2, 3]),
    (
        schedules.one_cycle(1.0, 7, 3 / 7, "linear", div_factor=4, final_div_factor=2),
        [0.25, 0.625, 1.0, 0.78125, 0.5625, 0.34375, 0.125],
    ),
    (
        schedules.one_cycle(1.0, 7, 3 / 7, "linear", 4, 2, three_phase=True),
        [0.25, 0.625, 1.0, 0.625, 0.25, 0.1875, 0.125],
    ),
    (
        schedules.one_cycle(1.0, 7, 3 / 7, div_factor=4, final_div_factor=2),
        [0.25, 0.625, 1.0, 1 - 0.875 * (1 - ROOT) / 2, 0.5625],
    ),
    (schedules.warmup(4), [0.25, 0.5, 0.75, 1.0, 1.0]),
    (schedules.warmup(0), [1.0, 1.0]),
    (schedules.warmup_cosine(2, 4), [0.5, 1.0, 1.0, 0.5, 0.0, 0.0]),
    (schedules.warmup_cosine(0, 2, end_factor=0.5), [1.0, 0.75, 0.5, 0.5]),
    (
        schedules.warmup_stable_decay(2, 1, 4),
        [0.5, 1.0, 1.0, 1.0, 0.5, 1 - ROOT, 1 - 0.75**0.5, 0.0, 0.0],
    ),
    (schedules.warmup_stable_decay(1, 0, 2, 0.5, "linear"), [1.0, 1.0, 0.75, 0.5]),
    (schedules.warmup_stable_decay(1, 0, 2, cooldown="cosine"), [1.0, 1.0, 0.5, 0.0]),
    (schedules.warmup_stable_decay(1, 1, 0), [1.0, 1.0, 0.0]),
    (schedules.inverse_sqrt(2), [0.5, 1.0, (2 / 3) ** 0.5, ROOT, (2 / 5) ** 0.5]),
    (schedules.chained([schedules.warmup(2), schedules.exponential(0.5)]), [0.5, 0.5, 0.25]),
    (
        schedules.sequential([schedules.fixed(), schedules.exponential(0.5), abs], [2, 4]),
        [1.0, 1.0, 1.0, 0.5, 0, 1, 2],
    ),
    (schedules.scaled(schedules.warmup(2), 3.0), [1.5, 3.0]),
]
by_hand = pytest.mark.parametrize(
    ("schedule", "expected"),
    [pytest.param(*row, id=f"{i}-{row[0].name}") for i, row in enumerate(GOLDEN)],
)


def test_every_schedule_is_worked_out():
    public = {getattr(schedules, name) for name in schedules.__all__} - {Schedule}
    made = {thing.__name__ for thing in public} - {"schedule", "to_json", "from_json"}
    assert {schedule.name for schedule, _ in GOLDEN} == made


@by_hand
def test_values_worked_out_by_hand(schedule, expected):
    found = [schedule(step) for step in range(len(expected))]
    assert found == pytest.approx(expected, rel=1e-14, abs=1e-15)


@by_hand
def test_history_does_not_matter(schedule, expected):
    forwards = [schedule(step) for step in range(len(expected))]
    backwards = [schedule(step) for step in reversed(range(len(expected)))]
    assert backwards[::-1] == forwards


def test_growth_beyond_the_largest_float_is_infinite():
    assert schedules.exponential(gamma=2.0)(10_000) == math.inf


def test_a_cosine_is_exact_at_its_ends_however_late():
    wave = schedules.cosine(T_max=7)
    assert [wave(7 * k) for k in range(2000)] == [1.0, 0.0] * 1000


@pytest.mark.parametrize(
    ("first", "growth"), [(10, 2), (1, 5), (3, 3), (7, 1.5), (2.5, 1.3), (40, 1.001)]
)
def test_restarts_come_when_the_cycles_are_over(first, growth):
    schedule = schedules.cosine_restarts(first, growth)
    start, length = 0, first
    for step in range(3000):
        while step >= start + length * (1 - 1e-12):
            start, length = start + length, length * growth
        expected = (1 + math.cos(math.pi * (step - start) / length)) / 2
        assert schedule(step) == pytest.approx(expected, abs=1e-9)


# Combining


def test_operators():
    warm, fall = schedules.warmup(2), schedules.exponential(0.5)
    assert warm * fall == schedules.chained([warm, fall])
    assert 0.5 * warm == warm * 0.5 == schedules.scaled(warm, 0.5)
    assert warm.then(fall, at=2) == schedules.sequential([warm, fall], [2])
    assert [(2 * warm * fall).then(abs, 3)(step) for step in range(5)] == [1.0, 1.0, 0.5, 0, 1]
    assert [(warm * abs)(step) for step in range(4)] == [0, 1, 2, 3]


def test_a_schedule_times_something_else():
    with pytest.raises(TypeError, match="unsupported operand"):
        schedules.warmup(2) * None


def test_equal_by_name_and_settings():
    assert schedules.warmup(3) == schedules.warmup(steps=3)
    assert hash(schedules.warmup(3)) == hash(schedules.warmup(steps=3))
    assert schedules.warmup(3) != schedules.warmup(4)
    assert schedules.warmup(3) != schedules.inverse_sqrt(3)
    assert schedules.warmup(3) != "warmup(steps=3)"


def test_what_it_prints_is_how_it_was_made():
    schedule = 0.1 * schedules.warmup(3).then(schedules.cosine(9), at=3)
    assert repr(schedule) == (
        "scaled(schedule=sequential(schedules=[warmup(steps=3), cosine(T_max=9, end_factor=0.0)], "
        "milestones=[3]), by=0.1)"
    )
    assert eval(repr(schedule), vars(schedules)) == schedule


# JSON


@by_hand
def test_through_json_and_pickle(schedule, expected):
    if any(hasattr(part, "__name__") for part in parts_of(schedule)):
        with pytest.raises(TypeError, match=r"has no form in JSON\. Use one of the named"):
            schedule.to_json()
        return
    for other in (
        from_json(json.loads(json.dumps(schedule.to_json()))),
        pickle.loads(pickle.dumps(schedule)),
    ):
        assert other == schedule
        steps = range(len(expected))
        assert [other(step) for step in steps] == [schedule(step) for step in steps]


def parts_of(schedule):
    """What the settings of a schedule hold."""
    for value in schedule.settings.values():
        yield from value if isinstance(value, list) else [value]


def test_a_schedule_of_ones_own_through_json():
    @schedules.schedule
    def sawtooth(length, height=1.0):
        """Up, and back at once."""
        return lambda step: height * (step % length) / length

    assert sawtooth.__doc__ == "Up, and back at once."
    teeth = sawtooth(4)
    assert [teeth(step) for step in range(6)] == [0, 0.25, 0.5, 0.75, 0, 0.25]
    settings = {"length": 4, "height": 1.0}
    assert teeth.to_json() == {"schedule": "sawtooth", "settings": settings}
    assert from_json(teeth.to_json()) == teeth


def test_a_schedule_that_nobody_defined():
    data = {"schedule": "unheard_of", "settings": {}}
    with pytest.raises(ValueError, match="no schedule is named 'unheard_of': import the module"):
        from_json(data)


def test_a_lambda_inside_is_refused():
    schedule = schedules.warmup(3) * (lambda step: 0.5)
    with pytest.raises(TypeError, match="a lambda has no form in JSON"):
        schedule.to_json()


# Bad settings


@pytest.mark.parametrize("factor", [-0.1, 1.1, math.nan, "half", None])
def test_constant_factor_is_checked(factor):
    message = "Constant multiplicative factor expected to be between 0 and 1, got factor="
    with pytest.raises(ValueError, match=message):
        schedules.constant(factor=factor)


@pytest.mark.parametrize("factor", [-0.1, 0, 1.1, math.nan, "half", None])
def test_linear_factors_are_checked(factor):
    with pytest.raises(ValueError, match=r"Starting .* greater than 0 and less or equal to 1, got"):
        schedules.linear(start_factor=factor)
    if factor != 0:
        with pytest.raises(ValueError, match=r"Ending .* expected to be between 0 and 1, got"):
            schedules.linear(end_factor=factor)


@pytest.mark.parametrize("gamma", [-0.5, math.nan, math.inf, "0.1", None])
def test_gamma_is_checked(gamma):
    message = f"gamma must be a finite number, at least 0, got {gamma!r}"
    with pytest.raises(ValueError, match=message):
        schedules.exponential(gamma)
    with pytest.raises(ValueError, match=message):
        schedules.step_decay(3, gamma)
    with pytest.raises(ValueError, match=message):
        schedules.multi_step([3], gamma)


@pytest.mark.parametrize("decay_rate", [-0.5, math.nan, math.inf, "0.1"])
def test_decay_rate_is_checked(decay_rate):
    for make in (schedules.inverse_time, schedules.exponential_decay):
        with pytest.raises(ValueError, match="decay_rate must be a finite number, at least 0, got"):
            make(decay_rate)


@pytest.mark.parametrize("step_size", [0, -3, 2.5, "3", None])
def test_step_size_is_checked(step_size):
    with pytest.raises(ValueError, match="step_size must be an integer, at least 1, got"):
        schedules.step_decay(step_size)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.constant(total_iters=-1), "total_iters .* at least 0, got -1"),
        (lambda: schedules.linear(total_iters=2.5), "total_iters .* at least 0, got 2.5"),
        (lambda: schedules.multi_step([-1]), "milestones .* at least 0, got -1"),
        (lambda: schedules.polynomial(total_iters=0), "total_iters .* at least 1, got 0"),
        (lambda: schedules.polynomial(power=-1), "power .* at least 0, got -1"),
        (lambda: schedules.cosine(0), "T_max must be a finite number above 0, got 0"),
        (lambda: schedules.cosine(3, 2), "end_factor must be between 0 and 1, got 2"),
        (lambda: schedules.cosine_restarts(0), "T_0 must be a finite number above 0, got 0"),
        (lambda: schedules.cosine_restarts(3, math.nan), "T_mult must be at least 1, got nan"),
        (lambda: schedules.anneal(0, 1, -1), "steps must be an integer, at least 0, got -1"),
        (lambda: schedules.anneal(0, 1, 3, "x"), "strategy must be one of 'cos', 'linear', got"),
        (lambda: schedules.cyclic(0, 1, 0), "step_size_up must be a finite number above 0, got 0"),
        (lambda: schedules.cyclic(0, 1, 1, -1), "step_size_down .* at least 0, got -1"),
        (lambda: schedules.cyclic(0, 1, mode="x"), "mode must be one of .*, got 'x'"),
        (lambda: schedules.one_cycle(1, 0), "total_steps must be an integer, at least 1, got 0"),
        (lambda: schedules.one_cycle(1, 9, 2.0), "Expected float between 0 and 1 pct_start"),
        (lambda: schedules.one_cycle(1, 9, 0.3, "x"), "anneal_strategy must be one of"),
        (lambda: schedules.warmup(-1), "steps must be an integer, at least 0, got -1"),
        (lambda: schedules.warmup_cosine(3, 3), "total_steps .* at least 4, got 3"),
        (lambda: schedules.warmup_stable_decay(1, -1, 1), "stable_steps .* at least 0, got -1"),
        (lambda: schedules.warmup_stable_decay(1, 1, -1), "decay_steps .* at least 0, got -1"),
        (lambda: schedules.inverse_sqrt(0), "warmup_steps .* at least 1, got 0"),
        (lambda: schedules.scaled(abs, math.inf), "by must be a finite number, got inf"),
        (lambda: schedules.chained([]), "chained: expected at least one schedule, got none"),
        (lambda: schedules.sequential([abs], [1]), "1 schedules need 0 milestones, got 1"),
        (lambda: schedules.sequential([abs, abs], [0.5]), "milestones must be an integer"),
        (lambda: schedules.sequential([abs] * 3, [5, 3]), r"milestones must rise, got \[5, 3\]"),
    ],
)
def test_other_settings_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match=r"chained: a schedule is a function of the step, got 0.5"):
        schedules.chained([0.5])
    with pytest.raises(TypeError, match="factor should be a function, but got float"):
        schedules.multiplicative(0.5)
