"""Save and load: the state of modules, optimizers and random generators in one file."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..array import Array
from ..checks import fitting_state
from ..errors import ArgumentError, DTypeError, StateDictError, shown
from ..nn import Module
from .files import read_arrays, write_arrays

__all__ = ["load", "save"]


def save(path: str | os.PathLike[str], /, **parts: Any) -> None:
    """Write parts to a file under their names; until all is written, the old file stays whole.

    Args:
        path: a file that ends in ``.npz``, or in ``.safetensors`` where that library is installed.
        **parts: modules, optimizers and whatever else has a ``state_dict``; Generators; arrays and
            numbers. The Generators in a module, which draw its dropout masks, are saved with it.

    Returns:
        Nothing.

    Raises:
        ArgumentError: the file cannot be written, or its name has another end, or two parts would
            have an entry of the same name.
        UnsupportedError: safetensors is not installed.
        DTypeError: a part is none of these.

    Example:
        >>> import os, tempfile
        >>> import numixology as nx
        >>> layer = nx.nn.Linear(2, 3, rng=0)
        >>> optimizer = nx.optim.Adam(layer.parameters())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "run.npz")
        ...     nx.save(path, model=layer, optimizer=optimizer, best=0.25)
        ...     twin = nx.nn.Linear(2, 3, rng=1)
        ...     rest = nx.load(path, model=twin)
        >>> bool((twin.weight.data == layer.weight.data).all()), rest["best"]
        (True, array(0.25))
    """
    arrays: dict[str, Array] = {}
    for key, array in _arrays(parts):
        if key in arrays:
            instead = "choose other names for the parts"
            raise ArgumentError(
                "every entry of a file has a name of its own", f"{key} twice", instead
            )
        arrays[key] = array
    write_arrays(Path(path), arrays)


def load(path: str | os.PathLike[str], /, **parts: Any) -> dict[str, Array]:
    """Read what :func:`save` wrote back into these parts: into all of them, or into none.

    Args:
        path: the file.
        **parts: modules, optimizers and Generators under the names with which they were saved.

    Returns:
        The arrays in the file that belong to none of the parts, by name; without parts, all. That
        of a parameter is ``"part.name"``.

    Raises:
        ArgumentError: the file cannot be read.
        UnsupportedError: safetensors is not installed.
        StateDictError: it does not have the state of the parts; the message lists all that is
            missing, unknown or does not fit, and nothing has changed.
        DTypeError: a part has no state.

    Example:
        >>> import os, tempfile
        >>> import numpy as np
        >>> import numixology as nx
        >>> rng = np.random.default_rng(0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "rng.npz")
        ...     nx.save(path, rng=rng)
        ...     drawn = rng.integers(100, size=3)
        ...     _ = nx.load(path, rng=rng)
        >>> bool((rng.integers(100, size=3) == drawn).all())
        True
    """
    rest = read_arrays(Path(path))
    generators, own = dict(_generators(parts)), dict[str, Array]()
    for name, part in parts.items():
        if hasattr(part, "state_dict"):
            own |= _named(name, part)
        elif name not in generators:
            instead = f"take {name} from what load returns"
            raise DTypeError("state is loaded into what has some", shown(part), instead)
    begins = tuple(f"{name}." for name in parts)
    found = {key: rest.pop(key) for key in [*rest] if f"{key}.".startswith(begins)}
    states = {key: _random_state(key, found.pop(key, None), g) for key, g in generators.items()}
    fitting = fitting_state(found, own)
    for name, part in parts.items():
        if hasattr(part, "state_dict"):
            part.load_state_dict({key: fitting[f"{name}.{key}"] for key in part.state_dict()})
    for key, generator in generators.items():
        generator.bit_generator.state = states[key]
    return rest


def _arrays(parts: Mapping[str, Any]) -> Iterator[tuple[str, Array]]:
    """The entries of all parts; the state of a Generator is JSON."""
    for key, generator in _generators(parts):
        text = json.dumps(generator.bit_generator.state, default=np.ndarray.tolist)
        yield key, np.frombuffer(text.encode(), np.uint8)
    for name, part in parts.items():
        if hasattr(part, "state_dict"):
            yield from _named(name, part).items()
        elif not isinstance(part, np.random.Generator):
            array = np.asarray(part)
            if array.dtype.kind not in "fiub":
                invariant = "what is saved is a module, an optimizer, a Generator or numbers"
                raise DTypeError(invariant, shown(part), f"leave {name} out, or convert it")
            yield name, array


def _named(name: str, part: Any) -> dict[str, Array]:
    """The entries of a part's state dict, below its name."""
    return {f"{name}.{key}": array for key, array in part.state_dict().items()}


def _generators(parts: Mapping[str, Any]) -> Iterator[tuple[str, np.random.Generator]]:
    """Every Generator among the parts and in their modules, under each of its names."""
    for name, part in parts.items():
        if isinstance(part, np.random.Generator):
            yield name, part
        elif isinstance(part, Module):
            own = [(key, v) for key, v in vars(part).items() if isinstance(v, np.random.Generator)]
            inside = [*own, *part._parts()]
            yield from _generators({f"{name}.{key}": value for key, value in inside})


def _random_state(key: str, entry: Array | None, generator: np.random.Generator) -> Any:
    """The state of a Generator from its JSON text, if a generator of its kind can have it."""
    try:
        state = json.loads(bytes(entry if entry is not None else b""))
        type(generator.bit_generator)().state = state
    except Exception as error:  # as many kinds as there are generators
        kind = type(generator.bit_generator).__name__
        invariant = f"{key} in the file is the state of a {kind}"
        got = "nothing" if entry is None else f"{type(error).__name__}: {error}"
        raise StateDictError(invariant, got, "load it into what was saved") from error
    return state
