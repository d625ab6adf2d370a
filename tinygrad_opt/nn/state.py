"""state_dict: a Module's parameters and persistent buffers by path, out and in again.

`Module.state_dict` and `Module.load_state_dict` walk the tree here; what a single module saves and
loads are its methods `_save_to_state_dict` and `_load_from_state_dict`, which subclasses replace.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..autograd.hooks import RemovableHandle, add_hook
from ..autograd.modes import no_grad
from ..core.refusals import hint, type_name
from ..core.tensor import Tensor
from .hooks import Hooked
from .parameter import Parameter, is_lazy
from .registry import BUFFER, MODULE, PARAMETER

__all__ = ["EXTRA_STATE", "IncompatibleKeys", "Saving", "load", "load_own", "save", "save_own"]


class Saving(Hooked):
    """state_dict and load_state_dict, what subclasses replace of them, and their hooks."""

    _version: int = 1  # of the form that a class saves itself in

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """An ordered dictionary path -> parameter or persistent buffer, sharing memory.

        The values are detached, unless `keep_vars`.
        """
        return save(self, destination, prefix, keep_vars)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copies the values of `state_dict` in; with `assign`, takes over its tensors themselves.

        Returns (missing_keys, unexpected_keys), which must be empty where `strict`. Raises
        RuntimeError listing all that does not fit; then nothing has been loaded.
        """
        return load(self, state_dict, strict, assign)

    # For subclasses to replace --------------------------------------------------------------------

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        save_own(self, destination, prefix, keep_vars)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, strict: bool, missing_keys: Any,
        unexpected_keys: Any, error_msgs: Any,
    ) -> None:  # fmt: skip
        load_own(
            self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
            error_msgs,
        )  # fmt: skip

    def get_extra_state(self) -> Any:
        """What else is part of the state_dict; for subclasses to define, with `set_extra_state`."""
        raise RuntimeError(
            f"{type(self).__name__}.get_extra_state is not defined, so nothing should call it"
        )

    def set_extra_state(self, state: Any) -> None:
        """Takes what `get_extra_state` returned; for subclasses to define."""
        raise RuntimeError(
            f"{type(self).__name__}.set_extra_state is not defined, so nothing should call it"
        )

    # Hooks ----------------------------------------------------------------------------------------

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, prefix, keep_vars)` before each state_dict is collected."""
        return add_hook(self._make_hooks().saving, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, state_dict, prefix, local_metadata)` with each; it may change it."""
        own = self._make_hooks()
        return add_hook(own.saved, hook, marked=(own.mute,))

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Like `register_state_dict_post_hook`, but the hook's result replaces the dictionary."""
        return add_hook(self._make_hooks().saved, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls the hook before this module is loaded; it may change the dictionary and the lists.

        `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)`; the dictionary is a copy.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        """Like `register_load_state_dict_pre_hook`; the hook gets the module only `with_module`."""
        own = self._make_hooks()
        marked = (own.with_module,) if with_module else ()
        return add_hook(own.loading, hook, marked=marked)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(module, incompatible_keys)` after loading; it may change the keys."""
        return add_hook(self._make_hooks().loaded, hook)


# state_dict: a Module's parameters and persistent buffers by path, out and in again ---------------


EXTRA_STATE = "_extra_state"  # the key, behind a module's prefix, of what get_extra_state returns


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict` returns: the paths that one side has and the other has not."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"_IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


# Out ----------------------------------------------------------------------------------------------


def save(module: Any, destination: Any, prefix: str, keep_vars: bool) -> dict[str, Any]:
    """Collect the state of `module` and all below it; see Module.state_dict."""
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    about = {"version": module._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = about
    hooks = module._hooks
    for hook in tuple(hooks.saving.values()) if hooks is not None else ():
        hook(module, prefix, keep_vars)
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._own(MODULE):
        if child is not None:
            child.state_dict(
                destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
            )
    for id, hook in tuple(hooks.saved.items()) if hooks is not None else ():
        changed = hook(module, destination, prefix, about)
        if changed is not None:
            if id in hooks.mute:
                raise RuntimeError("state_dict post-hook must return None; change it in place")
            destination = changed
    return destination


def save_own(module: Any, destination: Any, prefix: str, keep_vars: bool) -> None:
    """Put what `module` itself holds into `destination`."""
    for name, tensor in _entries(module):
        kept = keep_vars or is_lazy(tensor)
        destination[prefix + name] = tensor if kept else tensor.detach()
    if _has_extra_state(module, "get_extra_state"):
        destination[prefix + EXTRA_STATE] = module.get_extra_state()


def _entries(module: Any) -> Iterator[tuple[str, Any]]:
    """(name, tensor) of what `module` itself saves: parameters first, then buffers."""
    for name, tensor in module._own(PARAMETER):
        if tensor is not None:
            yield name, tensor
    for name, tensor in module._own(BUFFER):
        if tensor is not None and name not in module._transient:
            yield name, tensor


def _has_extra_state(module: Any, method: str) -> bool:
    return getattr(type(module), method) is not getattr(Saving, method)


# In -----------------------------------------------------------------------------------------------


def load(module: Any, given: Mapping[str, Any], strict: bool, assign: bool) -> IncompatibleKeys:
    """Load every module of the tree, or none if something is wrong; see Module.load_state_dict."""
    if not isinstance(given, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(given).__name__}.")
    keys, problems = IncompatibleKeys([], []), list[str]()
    undo = _snapshot(module)
    metadata = getattr(given, "_metadata", None) or {}
    _load_tree(module, OrderedDict(given), "", metadata, assign, keys, problems)
    if strict:
        problems[:0] = _key_problems(keys)
    if problems:
        _restore(undo)
        listed = "\n\t".join(problems)
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}:\n\t{listed}"
        )
    return keys


def _load_tree(
    module: Any, state: Any, prefix: str, metadata: Any, assign: bool, keys: IncompatibleKeys,
    problems: list[str],
) -> None:  # fmt: skip
    about = dict(metadata.get(prefix[:-1], {}))
    if assign:
        about["assign_to_params_buffers"] = True
    module._load_from_state_dict(state, prefix, about, True, *keys, problems)
    for name, child in module._own(MODULE):
        if child is not None:
            path = f"{prefix}{name}."
            below = OrderedDict((k, v) for k, v in state.items() if k.startswith(path))
            _load_tree(child, below, path, metadata, assign, keys, problems)
    hooks = module._hooks
    for hook in tuple(hooks.loaded.values()) if hooks is not None else ():
        if hook(module, keys) is not None:
            raise AssertionError(
                "Hooks registered with `register_load_state_dict_post_hook` are not expected to "
                "return new values; change incompatible_keys in place"
            )


def load_own(
    module: Any, state: Any, prefix: str, about: Any, strict: bool, missing: list[str],
    unexpected: list[str], problems: list[str],
) -> None:  # fmt: skip
    """Load what `module` itself holds from `state`, and list what is wrong."""
    hooks = module._hooks
    for id, hook in tuple(hooks.loading.items()) if hooks is not None else ():
        first = (module,) if id in hooks.with_module else ()
        hook(*first, state, prefix, about, strict, missing, unexpected, problems)
    own = dict(_entries(module))
    assign = about.get("assign_to_params_buffers", False)
    for name, tensor in own.items():
        key = prefix + name
        if key in state:
            problem = _put(module, name, key, tensor, state[key], assign)
            problems += [problem] if problem else []
        elif strict:
            missing.append(key)
    _load_extra(module, state, prefix + EXTRA_STATE, strict, missing, unexpected)
    if strict:
        unexpected += _unknown(module, state, prefix, own)


def _put(module: Any, name: str, key: str, tensor: Any, value: Any, assign: bool) -> str:
    """Copy `value` into `tensor`, or put it in its place; what is wrong if that cannot be."""
    if not isinstance(value, Tensor):
        return (
            f'While copying the parameter named "{key}", expected a Tensor '
            f"from checkpoint but received {type_name(value)}; {hint(value)}"
        )
    if is_lazy(tensor) and is_lazy(value):
        return ""
    if tensor.array.shape == () and value.shape == (1,):
        value = value[0]  # how numbers were saved before there were 0-d tensors
    if value.shape != tensor.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, "
            f"the shape in current model is {tensor.shape}."
        )
    if not assign:
        with no_grad():
            tensor.copy_(value)
    elif isinstance(tensor, Parameter) and not isinstance(value, Parameter):
        setattr(module, name, Parameter(value, tensor.requires_grad))
    else:
        setattr(module, name, value)
    return ""


def _load_extra(
    module: Any, state: Any, key: str, strict: bool, missing: list[str], unexpected: list[str]
) -> None:
    if _has_extra_state(module, "set_extra_state"):
        if key in state:
            module.set_extra_state(state[key])
        elif strict:
            missing.append(key)
    elif strict and key in state:
        unexpected.append(key)


def _unknown(module: Any, state: Any, prefix: str, own: Any) -> list[str]:
    """The keys that belong to `module` by their prefix, and to nothing in it."""
    known, found = module._modules, []
    for key in state:
        if key.startswith(prefix) and key != prefix + EXTRA_STATE:
            first, dot, _ = key[len(prefix) :].partition(".")
            if first not in (known if dot else own):
                found.append(key)
    return found


def _key_problems(keys: IncompatibleKeys) -> list[str]:
    titles = ("Missing", "Unexpected")
    return [
        f"{title} key(s) in state_dict: " + ", ".join(f'"{key}"' for key in found) + ". "
        for title, found in zip(titles, keys, strict=True)
        if found
    ]


def _snapshot(module: Any) -> list[tuple[Any, str, Any, Any]]:
    """All that loading may change: (module, name, tensor, copy of its array)."""
    return [
        (part, name, tensor, None if is_lazy(tensor) else tensor.array.copy())
        for part in module.modules()
        for name, tensor in _entries(part)
    ]


def _restore(undo: list[tuple[Any, str, Any, Any]]) -> None:
    for part, name, tensor, array in undo:
        part.__dict__[name] = tensor
        if array is not None:
            tensor.array[...] = array
