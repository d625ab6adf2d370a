"""What is edited in an optimizer between its steps counts at the next one, as in PyTorch.

EDITS: every way to exchange parameters and groups, and to change the state of a parameter. Each is
made in mid-training; then the run goes on as PyTorch's does, and as that of a new optimizer that is
given what the edited one holds.
"""

from __future__ import annotations

import copy
import pickle
from collections import defaultdict

import numpy as np
import problem
import pytest
from reducing import REDUCING
from table import OPTIMIZERS

import tinygrad_opt as tg
from tinygrad_opt import nn, optim

FIRST = dict(reversed([(row.name, row) for row in [*OPTIMIZERS, *REDUCING]]))
ROWS = {**FIRST, "SGD": next(r for r in OPTIMIZERS if "dampening" in r.settings)}
every_class = pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
OWN_STEP = {"Prodigy", "AdamWScheduleFree", "SGDScheduleFree"}  # groups have counts that must agree


def start(name):
    matrices, vectors = [(2, 3), (3, 2), (2, 3), (2, 2)], [(4,), (4,), (4,), (2,)]
    shapes = matrices if name in ("Muon", "SOAP") else vectors
    return [np.cos(np.arange(np.prod(s)).reshape(s) * 1.3 + 3.0 * i) for i, s in enumerate(shapes)]


class Case:
    """Two groups of two parameters, and two more that may come in; in either library."""

    def __init__(self, library, name, settings, make=None):
        self.library, self.name = library, name
        self.params = [
            library.tensor(v, dtype=library.float64).requires_grad_() for v in start(name)
        ]
        self.spare = [
            library.tensor(v + 1, dtype=library.float64).requires_grad_() for v in start(name)
        ]
        cls = make or getattr(library.optim, name)
        a, b, c, d = self.params
        self.optimizer = cls([{"params": [a, b]}, {"params": [c, d]}], **settings)

    def go_on(self, steps):
        if hasattr(self.optimizer, "train"):
            self.optimizer.train()
        for step in steps:
            for i, p in enumerate([*self.params, *self.spare]):
                g = problem.gradient(i % 3, np.ones(tuple(p.shape)), step + i)
                p.grad = None if g is None else self.library.tensor(g, dtype=p.dtype)
            self.optimizer.step()

    def values(self):
        every = [*self.params, *self.spare]
        return np.concatenate([p.detach().numpy().ravel().astype(np.float64) for p in every])


# Edits of groups ----------------------------------------------------------------------------------


def item(case):
    case.optimizer.param_groups[0]["params"][1] = case.spare[1]


def new_list(case):
    a, _ = case.params[:2]
    case.optimizer.param_groups[0]["params"] = [a, case.spare[1]]


def order(case):
    case.optimizer.param_groups[0]["params"].reverse()


def swapped_between_groups(case):
    one, two = (group["params"] for group in case.optimizer.param_groups)
    one[0], two[0] = two[0], one[0]


def part_of_a_list(case):
    case.optimizer.param_groups[1]["params"][:] = case.spare[2:]


def groups_swapped(case):
    case.optimizer.param_groups.reverse()


def groups_rebuilt(case):
    groups = case.optimizer.param_groups
    case.optimizer.param_groups = [{**g, "params": list(g["params"])} for g in groups]


def groups_rebuilt_with_another(case):
    one, two = case.optimizer.param_groups
    case.optimizer.param_groups[:] = [{**one, "params": [case.spare[0], case.params[1]]}, two]


def removed(case):
    del case.optimizer.param_groups[0]["params"][0]


def group_removed(case):
    case.optimizer.param_groups.pop()


def data_of_a_parameter(case):
    p = case.params[0]
    p.data = p.data * 2


GROUP_EDITS = [
    item, new_list, order, swapped_between_groups, part_of_a_list, groups_swapped, groups_rebuilt,
    groups_rebuilt_with_another, removed, group_removed, data_of_a_parameter,
]  # fmt: skip

# Edits of state -----------------------------------------------------------------------------------


def flat_name(entry):
    """The name of a Tensor of the parameter's shape."""
    return [k for k, v in entry.items() if getattr(v, "ndim", 0) and k != "step"][-1]


def updated(case):
    entry = case.optimizer.state[case.params[0]]
    name = flat_name(entry)
    entry.update({name: entry[name] * 0.5})


def merged(case):
    entry = case.optimizer.state[case.params[0]]
    name = flat_name(entry)
    entry |= {name: entry[name] * 0.5}


def assigned(case):
    entry = case.optimizer.state[case.params[0]]
    name = flat_name(entry)
    entry[name] = entry[name] * 0.5


def zeroed_in_place(case):
    entry = case.optimizer.state[case.params[0]]
    entry[flat_name(entry)].zero_()


def data_of_state(case):
    entry = case.optimizer.state[case.params[0]]
    name = flat_name(entry)
    entry[name].data = entry[name].data * 0.5


def popped_and_put_back(case):
    entry = case.optimizer.state[case.params[0]]
    name = flat_name(entry)
    entry.setdefault(name, entry.pop(name) * 0.5)


def plain_dict(case):
    state, p = case.optimizer.state, case.params[0]
    state[p] = {
        k: v * 0.5 if k != "step" and hasattr(v, "ndim") else v for k, v in state[p].items()
    }


def plain_dict_edited_later(case):
    entry = dict(case.optimizer.state[case.params[0]])
    case.optimizer.state[case.params[0]] = entry
    case.go_on(range(20, 22))
    name = flat_name(entry)
    entry[name] = entry[name] * 0.5
    assert case.optimizer.state[case.params[0]] is entry


def held_tensor_written_to(case):
    entry = case.optimizer.state[case.params[0]]
    kept = entry[flat_name(entry)]
    case.optimizer.param_groups[0]["params"].reverse()  # the buffers are made anew
    case.go_on(range(20, 22))
    kept.mul_(0.5)


def cleared(case):
    case.optimizer.state[case.params[0]].clear()


def emptied_one_by_one(case):
    entry = case.optimizer.state[case.params[0]]
    while entry:
        entry.popitem()


def deleted(case):
    del case.optimizer.state[case.params[0]]


def all_cleared(case):
    case.optimizer.state.clear()


def state_exchanged(case):
    case.optimizer.state = defaultdict(dict)


def state_copied(case):
    copied = {p: dict(entry) for p, entry in case.optimizer.state.items()}
    case.optimizer.state = defaultdict(dict, copied)


def states_swapped(case):
    state, (a, _, c, _) = case.optimizer.state, case.params
    state[a], state[c] = state[c], state[a]


def state_goes_with_the_parameter(case):
    state, a, n = case.optimizer.state, case.params[0], case.spare[0]
    state[n] = state.pop(a)
    case.optimizer.param_groups[0]["params"][0] = n


def notes_of_the_users(case):
    case.optimizer.state[case.params[0]]["note"] = "mine"
    case.optimizer.state["runs"] = 3


def saved_and_loaded_in_between(case):
    case.optimizer.load_state_dict(copy.deepcopy(case.optimizer.state_dict()))
    updated(case)


STATE_EDITS = [
    updated, merged, assigned, zeroed_in_place, data_of_state, popped_and_put_back, plain_dict,
    plain_dict_edited_later, held_tensor_written_to, state_copied, states_swapped,
    state_goes_with_the_parameter, notes_of_the_users, saved_and_loaded_in_between,
]  # fmt: skip
CLEARING = [cleared, emptied_one_by_one, deleted, all_cleared, state_exchanged]
EDITS = [*GROUP_EDITS, *STATE_EDITS, *CLEARING]

# PyTorch's Adagrad makes its state when it is built, and knows no other parameters later.
NOT_IN_ADAGRAD = {
    item, new_list, part_of_a_list, groups_rebuilt_with_another, *CLEARING,
}  # fmt: skip
TWINS = ["SGD", "Adam", "AdamW", "RMSprop", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta",
         "Rprop", "ASGD"]  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
@pytest.mark.parametrize("name", TWINS)
def test_edits_follow_pytorch(torch, name, edit):
    if name == "Adagrad" and edit in NOT_IN_ADAGRAD:
        pytest.skip("PyTorch raises")
    if name == "NAdam" and edit is saved_and_loaded_in_between:
        pytest.skip("loading makes PyTorch's mu_product another type")
    ends = []
    for library in (tg, torch):
        case = Case(library, name, ROWS[name].settings)
        case.go_on(range(6))
        edit(case)
        case.go_on(range(6, 16))
        ends.append(case.values())
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-11, atol=1e-13)


def successor(row, case):
    """A new optimizer over copies, that is given what the edited one holds."""
    other = Case(tg, row.name, row.settings, row.cls)
    mine = [*case.params, *case.spare]
    theirs = [*other.params, *other.spare]
    twin = {id(p): q for p, q in zip(mine, theirs, strict=True)}
    for p, q in zip(mine, theirs, strict=True):
        q.data = p.detach().clone()
    groups = [
        {**g, "params": [twin[id(p)] for p in g["params"]]} for g in case.optimizer.param_groups
    ]
    other.optimizer = row.cls(groups, **row.settings)
    for p, entry in case.optimizer.state.items():
        if isinstance(p, tg.Tensor) and entry:
            plain = {k: copy.deepcopy(v) for k, v in entry.items()}
            other.optimizer.state[twin[id(p)]] = plain
    return other


@every_class
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_edits_of_every_class_are_seen(row, edit):
    case = Case(tg, row.name, row.settings, row.cls)
    case.go_on(range(6))
    first = case.optimizer.state.get(case.params[0])
    if edit in STATE_EDITS and not any(getattr(v, "ndim", 0) for v in (first or {}).values()):
        pytest.skip("it keeps nothing of the parameter's shape")
    edit(case)
    other = successor(row, case)
    for one in (case, other):
        one.go_on(range(6, 12))
    np.testing.assert_array_equal(case.values(), other.values())


@every_class
@pytest.mark.parametrize("edit", [item, updated, cleared, states_swapped, plain_dict])
def test_right_after_an_edit_everything_shows_it(row, edit):
    """State dicts, copies, pickles, zero_grad: before the next step."""
    case = Case(tg, row.name, row.settings, row.cls)
    case.go_on(range(4))
    first = case.optimizer.state.get(case.params[0])
    if edit in STATE_EDITS and not any(getattr(v, "ndim", 0) for v in (first or {}).values()):
        pytest.skip("it keeps nothing of the parameter's shape")
    edit(case)
    optimizer = case.optimizer
    optimizer.add_param_group({"params": [case.spare[3]]})
    saved = optimizer.state_dict()
    index = {}
    for group, packed in zip(optimizer.param_groups, saved["param_groups"], strict=True):
        index |= dict(zip(map(id, group["params"]), packed["params"], strict=True))
    for p, entry in optimizer.state.items():
        if id(p) in index:
            assert list(saved["state"][index[id(p)]]) == list(entry)
    others = [
        copy.deepcopy((optimizer, case.params, case.spare)),
        pickle.loads(pickle.dumps((optimizer, case.params, case.spare))),
    ]
    optimizer.zero_grad()
    assert all(p.grad is None for g in optimizer.param_groups for p in g["params"])
    case.go_on(range(4, 8))
    for other, params, spare in others:
        twin = copy.copy(case)
        twin.optimizer, twin.params, twin.spare = other, params, spare
        twin.go_on(range(4, 8))
        np.testing.assert_array_equal(twin.values(), case.values())


# Growing and pruning, as 3D Gaussian splatting does -----------------------------------------------


def replace_tensor_to_optimizer(library, optimizer, tensor, name):
    for group in optimizer.param_groups:
        if group["name"] == name:
            stored = optimizer.state.get(group["params"][0], None)
            stored["exp_avg"] = library.zeros_like(tensor)
            stored["exp_avg_sq"] = library.zeros_like(tensor)
            del optimizer.state[group["params"][0]]
            group["params"][0] = library.nn.Parameter(tensor.requires_grad_(True))
            optimizer.state[group["params"][0]] = stored


def prune_optimizer(library, optimizer, mask):
    for group in optimizer.param_groups:
        stored = optimizer.state.get(group["params"][0], None)
        kept = group["params"][0][mask].detach().requires_grad_(True)
        if stored is not None:
            stored["exp_avg"] = stored["exp_avg"][mask]
            stored["exp_avg_sq"] = stored["exp_avg_sq"][mask]
            del optimizer.state[group["params"][0]]
            group["params"][0] = library.nn.Parameter(kept)
            optimizer.state[group["params"][0]] = stored
        else:
            group["params"][0] = library.nn.Parameter(kept)


def cat_tensors_to_optimizer(library, optimizer, tensors):
    for group in optimizer.param_groups:
        assert len(group["params"]) == 1
        more = tensors[group["name"]]
        stored = optimizer.state.get(group["params"][0], None)
        grown = library.cat((group["params"][0].detach(), more), dim=0).requires_grad_(True)
        if stored is not None:
            for key in ("exp_avg", "exp_avg_sq"):
                stored[key] = library.cat((stored[key], library.zeros_like(more)), dim=0)
            del optimizer.state[group["params"][0]]
            group["params"][0] = library.nn.Parameter(grown)
            optimizer.state[group["params"][0]] = stored
        else:
            group["params"][0] = library.nn.Parameter(grown)


def splatting(library):
    """50 steps of Adam over points that are multiplied, pruned and reset."""
    kind = library.float64
    tensor = lambda a: library.tensor(a, dtype=kind)  # noqa: E731
    names = {"xyz": 3, "opacity": 1}
    groups = [
        {"params": [library.nn.Parameter(tensor(np.ones((8, n)) * 0.5))], "lr": lr, "name": name}
        for (name, n), lr in zip(names.items(), (0.1, 0.02), strict=True)
    ]
    optimizer = library.optim.Adam(groups, lr=0.0, eps=1e-15)
    for step in range(50):
        for group in optimizer.param_groups:
            p = group["params"][0]
            wave = np.sin(0.7 * step + np.arange(p.numel())).reshape(tuple(p.shape))
            p.grad = tensor(np.tanh(p.detach().numpy()) + wave)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        count = len(optimizer.param_groups[0]["params"][0])
        if step % 9 == 4:
            more = {name: tensor(np.full((3, n), 0.1 * step)) for name, n in names.items()}
            cat_tensors_to_optimizer(library, optimizer, more)
        elif step % 9 == 7:
            mask = np.arange(count) % 4 != 1
            prune_optimizer(library, optimizer, library.tensor(mask))
        elif step % 20 == 15:
            reset = optimizer.param_groups[1]["params"][0].detach().clone().clamp(max=0.01)
            replace_tensor_to_optimizer(library, optimizer, reset, "opacity")
    return [group["params"][0].detach().numpy() for group in optimizer.param_groups]


@pytest.mark.peers
def test_gaussian_splatting_follows_pytorch(torch):
    for ours, theirs in zip(splatting(tg), splatting(torch), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-11)


def test_a_pruned_parameter_goes_on_as_the_rows_that_were_kept():
    """By hand: what is pruned leaves the steps of the others as they would have been."""

    def end(rows, prune_at):
        p = nn.Parameter(tg.tensor([[1.0], [2.0], [3.0]])[rows] if prune_at is None else
                         tg.tensor([[1.0], [2.0], [3.0]]))  # fmt: skip
        optimizer = optim.Adam([{"params": [p], "name": "xyz"}], lr=0.1)
        for step in range(6):
            p = optimizer.param_groups[0]["params"][0]
            p.grad = p.detach() * (step - 2.5)
            optimizer.step()
            if step == prune_at:
                prune_optimizer(tg, optimizer, tg.tensor([True, False, True]))
        return optimizer.param_groups[0]["params"][0].tolist()

    assert end([0, 2], None) == end([0, 2], 2)


# What a growing network does to one parameter -----------------------------------------------------


def test_a_parameter_that_grows_in_place_needs_state_of_its_size():
    p = tg.tensor([1.0, 2.0]).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    p.grad = tg.ones(2)
    optimizer.step()
    p.data = tg.cat([p.data, tg.ones(1)])
    p.grad = tg.ones(3)
    message = (
        r"Adam: the state of param_groups\[0\]\['params'\]\[0\]: exp_avg has shape \(2,\), the "
        r"parameter \(3,\); give both the same"
    )
    with pytest.raises(RuntimeError, match=message):
        optimizer.step()
    assert p.tolist() == pytest.approx([0.9, 1.9, 1.0])
    entry = optimizer.state[p]
    for name in ("exp_avg", "exp_avg_sq"):
        entry[name] = tg.cat([entry[name], tg.zeros(1)])
    optimizer.step()
    assert p.tolist()[:2] == pytest.approx([0.8, 1.8])
    assert entry["step"].item() == 2.0


def test_a_size_is_of_no_matter_where_there_is_no_state():
    p = tg.tensor([1.0, 2.0]).requires_grad_()
    optimizer = optim.SGD([p], lr=0.1)
    for n in (2, 3, 1):
        p.data = tg.ones(n)
        p.grad = tg.ones(n)
        optimizer.step()
        assert p.tolist() == pytest.approx([0.9] * n)


# What is missing, of another kind, or shared ------------------------------------------------------


@every_class
def test_a_part_of_the_state_that_is_missing_is_an_error(row):
    """As in PyTorch a KeyError: half a state is never filled with zeros in silence."""
    case = Case(tg, row.name, row.settings, row.cls)
    case.go_on(range(6))
    p = case.params[0]
    entry = case.optimizer.state.get(p, {})
    names = [n for n in entry if n != "y"]
    if len(names) < 2:
        pytest.skip("without its only part the state is empty, and begins afresh")
    before = case.values()
    for name in names:
        kept = entry.pop(name)
        with pytest.raises(KeyError, match=name):
            case.go_on(range(6, 7))
        if row.name not in OWN_STEP | {"SOAP", "Adafactor"}:  # they look when p's turn comes
            np.testing.assert_array_equal(case.values(), before)
        entry[name] = kept
        before = case.values()
    case.go_on(range(6, 8))


def test_a_missing_part_is_of_no_matter_without_gradient():
    p, q = (tg.tensor([1.0]).requires_grad_() for _ in range(2))
    optimizer = optim.Adam([p, q], lr=0.1)
    p.grad = q.grad = tg.ones(1)
    optimizer.step()
    kept = optimizer.state[p].pop("exp_avg")
    p.grad = None
    optimizer.step()
    optimizer.step()
    assert q.item() == pytest.approx(0.7)
    p.grad = tg.ones(1)
    with pytest.raises(KeyError, match="exp_avg"):
        optimizer.step()
    optimizer.state[p]["exp_avg"] = kept
    optimizer.step()
    assert p.item() == pytest.approx(0.8)
    assert q.item() == pytest.approx(0.6)


def test_state_that_a_setting_brings_in_later_begins_with_zeros():
    p = tg.tensor([1.0]).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    for amsgrad in (False, True, False, True):
        optimizer.param_groups[0]["amsgrad"] = amsgrad
        p.grad = tg.ones(1)
        optimizer.step()
    assert optimizer.state[p]["step"].item() == 4.0
    assert optimizer.state[p]["max_exp_avg_sq"].item() == pytest.approx(1 - 0.999**4, rel=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("step", tg.zeros(2), RuntimeError, r"step must be one number, but has shape \(2,\)"),
        ("exp_avg", tg.zeros(1, 2), RuntimeError, r"exp_avg has shape \(1, 2\), the parameter"),
        ("exp_avg_sq", 1.0, RuntimeError, r"exp_avg_sq has shape \(\), the parameter \(2,\)"),
        ("exp_avg", None, KeyError, "has no exp_avg, only step, exp_avg, exp_avg_sq"),
    ],
)
def test_state_that_does_not_fit(name, value, error, message):
    p = tg.tensor([1.0, 2.0]).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    p.grad = tg.ones(2)
    optimizer.step()
    optimizer.state[p][name] = value
    with pytest.raises(error, match=message):
        optimizer.step()
    assert p.tolist() == pytest.approx([0.9, 1.9])


def test_state_of_another_kind_is_converted():
    p = tg.tensor([1.0, 2.0]).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    optimizer.state[p] = {
        "step": 3,
        "exp_avg": np.array([1.0, 2.0]),
        "exp_avg_sq": tg.tensor([1.0, 4.0], dtype=tg.float64),
    }
    p.grad = tg.tensor([1.0, 2.0])
    optimizer.step()
    entry = optimizer.state[p]
    assert [entry[k].dtype for k in ("step", "exp_avg", "exp_avg_sq")] == [tg.float32] * 3
    assert entry["step"].item() == 4.0
    assert entry["exp_avg"].tolist() == [1.0, 2.0]


def test_state_that_was_given_before_the_first_step_is_what_the_first_step_starts_from():
    p = tg.tensor([1.0]).requires_grad_()
    optimizer = optim.Rprop([p], lr=0.1)
    optimizer.state[p] = {
        "step": tg.tensor(0.0), "prev": tg.tensor([1.0]), "step_size": tg.tensor([0.5]),
    }  # fmt: skip
    p.grad = tg.ones(1)
    optimizer.step()
    assert p.item() == pytest.approx(1 - 0.6)  # it grew by 1.2


def test_nothing_but_notes_is_no_state():
    p = tg.tensor([1.0]).requires_grad_()
    optimizer = optim.Adam([p], lr=0.1)
    optimizer.state[p]["note"] = "mine"
    for t in (1.0, 2.0):
        p.grad = tg.ones(1)
        optimizer.step()
        assert optimizer.state[p]["step"].item() == t
    assert optimizer.state[p]["note"] == "mine"
    assert p.item() == pytest.approx(0.8)


def test_state_of_parameters_in_no_group_is_kept():
    case = Case(tg, "Adam", {"lr": 0.1})
    case.go_on(range(3))
    kept = case.optimizer.state[case.params[0]]
    item = case.optimizer.param_groups[0]["params"]
    item[0] = case.spare[0]
    case.go_on(range(3, 5))
    assert case.optimizer.state[case.params[0]] is kept
    before = kept["step"].item()
    item[0] = case.params[0]
    case.params[0].grad = tg.ones_like(case.params[0])
    case.optimizer.step()
    assert kept["step"].item() == before + 1


def sharing_an_entry(library):
    a, b = (library.tensor([v], dtype=library.float64).requires_grad_() for v in (1.0, 2.0))
    optimizer = library.optim.Adam([a, b], lr=0.1)
    for step in range(6):
        a.grad = library.tensor([1.0 + step], dtype=library.float64)
        b.grad = library.tensor([-0.5], dtype=library.float64)
        optimizer.step()
        if step == 1:
            optimizer.state[b] = optimizer.state[a]
    return a.item(), b.item(), optimizer.state[a]["step"].item()


def one_parameter_twice(library):
    a = library.tensor([1.0, 2.0], dtype=library.float64).requires_grad_()
    optimizer = library.optim.SGD([a], lr=0.1, momentum=0.9, dampening=0.3)
    for step in range(6):
        a.grad = library.tensor([1.0 + step, -0.5], dtype=library.float64)
        optimizer.step()
        if step == 1:
            optimizer.param_groups[0]["params"].append(a)
        if step == 3:
            optimizer.param_groups.append({**optimizer.param_groups[0], "params": [a]})
    return [*a.tolist(), *optimizer.state[a]["momentum_buffer"].tolist()]


def two_optimizers_with_one_state(library):
    a = library.tensor([1.0, 2.0], dtype=library.float64).requires_grad_()
    one, two = (library.optim.Adam([a], lr=lr) for lr in (0.1, 0.2))
    two.state = one.state
    for step in range(6):
        a.grad = library.tensor([1.0 + step, -0.5], dtype=library.float64)
        (one if step % 2 else two).step()
    return [*a.tolist(), one.state[a]["step"].item()]


@pytest.mark.peers
@pytest.mark.parametrize(
    "run", [sharing_an_entry, one_parameter_twice, two_optimizers_with_one_state]
)
def test_sharing_follows_pytorch(torch, run):
    assert run(tg) == pytest.approx(run(torch), rel=1e-12)


def test_sharing_by_hand():
    assert sharing_an_entry(tg)[2] == 2 + 2 * 4  # both count in one entry
    assert two_optimizers_with_one_state(tg)[2] == 6
    assert one_parameter_twice(tg)[2] != 0


# LBFGS and SparseAdam -----------------------------------------------------------------------------


def lbfgs_with_another_parameter(library):
    a, b, c = (library.tensor([v], dtype=library.float64).requires_grad_() for v in (1.0, 2.0, 3.0))
    params = [a, b]
    optimizer = library.optim.LBFGS(params, max_iter=3)
    for step in range(4):

        def closure():
            for p in (a, b, c):
                p.grad = 2 * p.detach() - 1
            return sum((p * p - p).sum() for p in (a, b, c))

        optimizer.step(closure)
        if step == 1:
            optimizer.param_groups[0]["params"][1] = c
        if step == 2:
            optimizer.state[a].clear()
    return [p.item() for p in (a, b, c)]


@pytest.mark.peers
def test_lbfgs_follows_pytorch(torch):
    assert lbfgs_with_another_parameter(tg) == pytest.approx(lbfgs_with_another_parameter(torch))


def test_sparse_adam():
    a, b = (tg.zeros(3, 2).requires_grad_() for _ in range(2))
    optimizer = optim.SparseAdam([a], lr=0.1)
    for step in range(4):
        for p in (a, b):
            p.grad = tg.sparse_coo_tensor([[1]], [[1.0, -1.0]], (3, 2))
        optimizer.step()
        if step == 1:
            optimizer.param_groups[0]["params"][0] = b
        if step == 2:
            optimizer.state[b]["exp_avg"] = -optimizer.state[b]["exp_avg"]
    assert a.tolist()[1] == pytest.approx([-0.2, 0.2], rel=1e-5)
    assert b.tolist()[1][0] == pytest.approx(-0.1, abs=0.01)
    assert optimizer.state[b]["step"].item() == 2.0
