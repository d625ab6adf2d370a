"""One captured graph: capturing a step, looking whether it still fits, replaying it."""

from __future__ import annotations

import functools
import gc
import threading
from collections.abc import Callable
from typing import Any

from ...arrays import faults, random, stream_positions
from ...arrays.xp import array_namespace
from ...compiled.surroundings import Surroundings, hooks_of
from ...compiled.tree import flatten, unflatten
from ...core.node import Variable
from ...core.tensor import wrap, wrap_as
from ...core.versions import note_write, version
from ...kernels import cublas
from ...kernels.compiler.recording import recording
from . import gradients
from .launches import Launcher, OptimizerStep
from .numbers import Draws, Numbers
from .refusals import explained, refuse
from .watch import Watch

__all__ = ["Variant", "rehearsed"]

_one_at_a_time = threading.RLock()


@functools.cache
def _products() -> Any:
    """The handle of cuBLAS: one, since captures take turns."""
    return cublas.Products()


def rehearsed(library: Any, step: Callable[[], Any]) -> tuple[Any, int]:
    """A step as it stands, by the kernels and products that its capture will take.

    They are compiled and loaded in it, which a capture must not. Returns what the step returned,
    and how many bytes of numbers its rules take.
    """
    launcher = _Trusting(library)
    stream = library.cuda.Stream(non_blocking=True)
    with _one_at_a_time:
        library.cuda.runtime.deviceSynchronize()  # what was asked of other streams comes first
        with stream:
            workspace = library.empty(cublas.WORKSPACE, "u1")
            products = _products()
            products.work_on(stream.ptr, workspace)
            recording.by = launcher
            try:
                with cublas.used(products):
                    result = step()
            finally:
                recording.by = None
                stream.synchronize()
    return result, launcher.bytes


class _Trusting(Launcher):
    """As in a capture, with coefficients that hold for this call alone; so none is refused."""

    def __init__(self, library: Any) -> None:
        super().__init__(library, None)
        self.step = True  # type: ignore[assignment]


class Variant:
    """A step captured for one kind of inputs.

    Raises CaptureError where the step cannot be a graph, Unsettled where it has to run once more
    before; then everything is as it was.
    """

    def __init__(
        self, library: Any, step: Callable[..., Any], leaves: list[Any], shape: Any, size: int
    ) -> None:
        """leaves: the tensors among the arguments.  shape: see `compiled.tree`.  size: bytes."""
        self.library = library
        self.static = [library.empty(t.array.shape, t.array.dtype) for t in leaves]
        ours = [wrap_as(type(t), a) for t, a in zip(leaves, self.static, strict=True)]
        versions = [version(a) for a in self.static]
        self.pool = library.cuda.MemoryPool()
        args, kwargs = unflatten(shape, ours)
        with _one_at_a_time:
            library.cuda.runtime.deviceSynchronize()
            stream = library.cuda.Stream(non_blocking=True)
            # Made outside of the pool: what the host sends to has to be there before the graph.
            self.numbers = Numbers(library, size)
            self.workspace = library.empty(cublas.WORKSPACE, "u1")
            launcher = Launcher(library, self.numbers)
            self.draws, self.generator = Draws(self.numbers), random.current()
            self.watch = Watch(launcher, ours)
            pending = faults.take_pending()
            try:
                result = self._captured(step, args, kwargs, stream, launcher)
                self._look_at(result, ours)
                self._refuse_what_is_kept(result, ours)
                if versions != [version(a) for a in self.static]:
                    refuse("the step writes into one of its inputs; write into a copy of it")
            except BaseException as error:
                faults.take_pending(pending)
                self.watch.put_back()
                array_namespace(self.workspace).forget_made()
                if isinstance(error, Exception):
                    told = explained(error)
                    if told is not error:
                        raise told from error
                raise
            self.faults = faults.take_pending(pending)
        self.surroundings = Surroundings(step, [m for m, *_ in self.watch.modules.values()])
        leaves = [leaf for leaf, _ in self.watch.grads.values()]
        self.final = [(leaf, gradients.note(leaf, leaf._grad)) for leaf in leaves]
        self.written = [held.tensor for held in self.watch.held.values() if held.was_written()]
        self.watch.forget()

    def _captured(
        self, step: Callable[..., Any], args: Any, kwargs: Any, stream: Any, launcher: Launcher
    ) -> Any:
        library, products = self.library, _products()
        products.work_on(stream.ptr, self.workspace)
        collecting = gc.isenabled()
        gc.disable()
        self.graph = None
        try:
            with stream, library.cuda.using_allocator(self.pool.malloc):
                stream.begin_capture()
                try:
                    recording.by = launcher
                    with (
                        cublas.used(products),
                        stream_positions.recording(self.draws),
                        self.watch.looking(),
                    ):
                        result = step(*args, **kwargs)
                finally:
                    recording.by = None
                    self.graph = _ended(stream)
        finally:
            if collecting:
                gc.enable()
        if self.graph is None:
            refuse("CUDA gave the capture up; the step may use other streams")
        return result

    def _look_at(self, result: Any, ours: list[Any]) -> None:
        """What is returned: a tensor of the graph, the place of an input, or one from outside."""
        tensors, self.shape_of_result = flatten(result)
        self.outputs: list[Any] = []
        for tensor in tensors:
            place = next((i for i, t in enumerate(ours) if t is tensor), None)
            if place is None and tensor.node is not None and tensor.node.output:
                refuse(
                    "the step returns a tensor that backward() has not been called on; a replay "
                    "returns values without a graph. Call backward() inside the step, or return "
                    "tensor.detach()"
                )
            there = id(tensor) in self.watch.held
            if place is None and not there and type(tensor.array) is not self.library.ndarray:
                refuse("the step returns a tensor on the CPU, made of numbers of the host, which "
                       "would be the same for ever; return tensors on the GPU")  # fmt: skip
            self.outputs.append(place if place is not None else tensor if there else tensor.array)
        if (number := _number_in(self.shape_of_result)) is not None:
            refuse(
                f"the step returns {number!r}, a number of the host, which would be the same for "
                "ever; return tensors, and read settings after the call"
            )
        if (name := self.watch.changed_settings()) is not None:
            refuse(
                f"the step changes the attribute {name!r} of a module, which a replay would not; "
                "keep it in a tensor on the GPU (register_buffer), or change it outside the step"
            )

    def _refuse_what_is_kept(self, result: Any, ours: list[Any]) -> None:
        known = {id(t) for t in flatten(result)[0]} | set(map(id, ours))
        known |= {id(leaf._grad) for leaf, _ in self.watch.grads.values()}

        def kept() -> list[Any]:
            alive = (reference() for reference in self.watch.made)
            return [t for t in alive if t is not None and id(t) not in known]

        if kept():
            gc.collect()  # what stood in a circle
        if count := len(kept()):
            refuse(
                f"the step keeps {count} of its tensors, in an attribute or a list; each replay "
                "would write over them. Return them instead"
            )

    # Replays ------------------------------------------------------------------------------------

    def why_not(self) -> str | None:
        """What is no longer as it was captured; None if the graph fits."""
        for held in self.watch.held.values():
            if not held.is_as_it_was():
                return "a parameter, a buffer or another tensor lies elsewhere, or changed its kind"
        for leaf, noted in self.watch.consulted:
            if not gradients.is_as_noted(leaf, noted):
                return "gradients lie elsewhere: others were there, or zero_grad() was called"
        for module, training, hooks, count in self.watch.modules.values():
            if module.training is not training:
                return f"{type(module).__name__} was switched between train() and eval()"
            if hooks_of(module) != hooks:
                return f"{type(module).__name__} has other hooks"
            if len(vars(module)) != count:
                return f"{type(module).__name__} has other parts"
        if self.draws.words and random.current() is not self.generator:
            return "random numbers come from another generator"
        try:
            for space, name, held in self.surroundings.names:
                if space[name] is not held:
                    return f"{name!r} was set"
            if not all(cell.cell_contents is held for cell, held in self.surroundings.cells):
                return "a variable that the step reads was set"
        except (KeyError, ValueError):
            return "something that the step reads is no longer there"
        return None

    def replay(self, leaves: list[Any]) -> Any:
        """One step. Raises Changed, with nothing done, where an optimizer would do another."""
        plans = self._plans()
        stream = self.library.cuda.get_current_stream()
        for static, tensor in zip(self.static, leaves, strict=True):
            static[...] = tensor.array
        self._take(plans)
        return self._launched(stream, leaves)

    def first(self, leaves: list[Any]) -> Any:
        """The call that captured it: the steps of optimizers are taken already."""
        for static, tensor in zip(self.static, leaves, strict=True):
            static[...] = tensor.array
        return self._launched(self.library.cuda.get_current_stream(), leaves)

    def _plans(self) -> list[Any]:
        """What each optimizer would step, looked at before anything is done."""
        before: list[tuple[Any, Any]] = []
        plans: list[Any] = []
        try:
            for effect in self.watch.effects:
                if not isinstance(effect, OptimizerStep):
                    plans.append(None)
                    continue
                for p, noted in effect.grads:
                    if not gradients.is_as_noted(p, noted):
                        before.append((p, gradients.note(p, p._grad)))
                        gradients.put(p, noted)
                plans.append(effect.plan())
        except BaseException:
            for p, noted in reversed(before):
                gradients.put(p, noted)
            raise
        return plans

    def _take(self, plans: list[Any]) -> None:
        """The host's part of the optimizers' and schedulers' steps, in their order."""
        runs = [run for plan in plans if plan is not None for _, run in plan]
        before = [(run, run.steps.copy(), {k: v.copy() for k, v in run.scalars.items()})
                  for run in runs]  # fmt: skip
        try:
            for effect, plan in zip(self.watch.effects, plans, strict=True):
                effect.take(plan) if isinstance(effect, OptimizerStep) else effect.take()
        except BaseException:  # of a setting that makes no sense: no step is taken
            for run, steps, scalars in before:
                run.steps[...] = steps
                for name, values in scalars.items():
                    run.scalars[name][...] = values
            raise

    def _launched(self, stream: Any, leaves: list[Any]) -> Any:
        self.draws.put()
        self.numbers.launch(self.graph, stream)
        if self.faults:
            faults.take_pending(True)
        for leaf, noted in self.final:
            gradients.put(leaf, noted)
        for tensor in self.written:
            note_write(tensor.array)
        return unflatten(self.shape_of_result, [
            leaves[x] if type(x) is int else x if isinstance(x, Variable) else wrap(x.copy())
            for x in self.outputs
        ])  # fmt: skip


def _ended(stream: Any) -> Any:
    try:
        return stream.end_capture()
    except Exception:  # the capture was given up, by what the step did
        return None


def _number_in(shape: Any) -> Any:
    """A number among what was returned beside tensors; None if there is none."""
    if isinstance(shape, (bool, int, float, complex)):
        return shape
    parts = shape.values() if isinstance(shape, dict) else shape
    if isinstance(parts, str) or not hasattr(parts, "__iter__"):
        return None
    return next((n for part in parts if (n := _number_in(part)) is not None), None)
