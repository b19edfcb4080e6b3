"""Find an adapter: a ready one by its name, or one in a file or a module."""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.resources import files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ....errors import ArgumentError, NumixologyError, UnsupportedError, unknown
from ..adapter import Declaration
from ..calling import in_a_line
from .builtin import Numpy

__all__ = ["NAMES", "load", "template"]


#: The ready adapters, with what they are of and their options.
NAMES = {
    "numpy64": "this package in float64",
    "numpy32": "this package in float32",
    "torch": "torch on any device: device, dtype, tf32",
    "jax": "JAX on the CPU: dtype, jit",
    "onnxruntime": "ONNX Runtime on the CPU, forward: dtype",
}
_CLASSES = {"torch": "Torch", "jax": "Jax", "onnxruntime": "OnnxRuntime"}

_WORDS = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def load(target: str, **options: Any) -> Any:
    """The adapter that a name, a file or a module stands for.

    Args:
        target: one of :data:`NAMES`; or a path ending in ``.py``, of a file in which ``adapter`` is
            an adapter or makes one; or ``my.py:object`` or ``package.module:object``. Options may
            follow: ``"torch:device=cuda,dtype=bfloat16"``, ``"my.py:object,dtype=float64"``, where
            on and off are True and False. What an adapter may say of itself may be among them.
        options: the same as keywords, for what makes the adapter.

    Returns:
        An object for :func:`.conform`.

    Raises:
        ArgumentError: no such name, file, module, object or option, or what is found there cannot
            be run.
        DTypeError: what is found there is no adapter.
        UnsupportedError: a library that the adapter needs is not installed, or has no such device.

    Example:
        >>> from numixology.verify.conformance.adapters import load
        >>> load("numpy32").dtype
        'float32'
        >>> load("tensorflow")
        Traceback (most recent call last):
        numixology.errors.ArgumentError: unknown adapter 'tensorflow'; use numpy64, numpy32, ...
    """
    match = re.fullmatch(r"(.*\.py)(?::(.*))?", target)  # a path may have a colon of its own
    where, written = (match[1], match[2] or "") if match else target.partition(":")[::2]
    thing, _, more = written.partition(",")
    if "=" in thing or where in NAMES:
        thing, more = "", written
    given = {**_read(more, target), **options}
    if match:
        return _made(_in_file(Path(where), thing or "adapter"), given, target)
    if where in ("numpy64", "numpy32"):
        return _made(partial(Numpy, where.replace("numpy", "float")), given, target)
    if where in NAMES:
        return _made(_in_module(f"{__package__}.{where}", _CLASSES[where], where), given, target)
    if thing and where.replace(".", "").isidentifier():
        return _made(_in_module(where, thing, where), given, target)
    instead = f"use {', '.join(NAMES)}, a path ending in .py or package.module:object"
    raise unknown("adapter", target, [*NAMES, *map(str, Path().glob("*.py"))], instead)


def template(library: str = "") -> str:
    """The text of an adapter that works for one stage, to be filled in.

    Args:
        library: ``"torch"`` for one of a module, ``"jax"`` for one of a function; by default, of
            functions on NumPy's arrays.

    Returns:
        A Python file.

    Raises:
        ArgumentError: there is none for that library.

    Example:
        >>> from numixology.verify.conformance import conform
        >>> from numixology.verify.conformance.adapters import template
        >>> names = {}
        >>> exec(template(), names)
        >>> conform(names["adapter"], stages=["silu"], quick=True).verdict
        'pass'
    """
    if library not in ("", "torch", "jax"):
        instead = "leave it out, or use torch or jax"
        raise ArgumentError("there is an adapter to start from for it", library, instead)
    name = f"{library}_starter.txt" if library else "starter.txt"
    return (files(__package__) / name).read_text("utf-8")


def _read(written: str, target: str) -> dict[str, Any]:
    """``"device=cuda,tf32=on"`` as a dict."""
    pairs = [one.partition("=") for one in written.split(",") if written]
    if not all(sign and name.strip() for name, sign, _ in pairs):
        invariant = "options are written name=value,name=value"
        raise ArgumentError(invariant, repr(target), "such as dtype=float64")
    return {name.strip(): _WORDS.get(value.strip(), value.strip()) for name, _, value in pairs}


def _made(thing: Any, options: Mapping[str, Any], target: str) -> Any:
    """The adapter itself: a class or a function makes it."""
    makes = isinstance(thing, type) or not hasattr(thing, "forward")
    if not makes or not callable(thing) or inspect.isbuiltin(thing):
        if options:
            invariant = f"{target} is an adapter already, and takes no options"
            instead = "leave them out, or let it be a function of them"
            raise ArgumentError(invariant, ", ".join(options), instead)
        Declaration(thing)
        return thing
    takes = inspect.signature(thing)
    try:
        takes.bind(**options)
    except TypeError as error:
        if not options:
            Declaration(thing)  # it is a function of torch, for instance, and not of options
        instead = f"it takes {', '.join(takes.parameters) or 'none'}"
        raise ArgumentError(f"{target} has options that are known", str(error), instead) from error
    with _importing(target, Path.cwd()):
        return thing(**options)


def _in_file(path: Path, thing: str) -> Any:
    if not path.is_file():
        instead = f"check the path, or let numixology conform --new {path} write one"
        raise ArgumentError(f"adapter file {path} not found", "", instead)
    name = f"numixology_adapter_{path.stem}"
    spec: Any = spec_from_file_location(name, path)  # never None for a path ending in .py
    module = module_from_spec(spec)
    sys.modules[name] = module  # classes look for their module there
    with _importing(str(path), path.parent):
        # Not by its loader, which takes bytecode of the same size and second for the file's own.
        exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
        return _attribute(module, thing, str(path))


def _in_module(module: str, thing: str, name: str) -> Any:
    with _importing(name, Path.cwd()):
        return _attribute(import_module(module), thing, name)


def _attribute(module: Any, name: str, where: str) -> Any:
    if not hasattr(module, name):
        instead = "let it be an object, a class or a function"
        raise ArgumentError(f"{where} must define {name}", "no such name", instead)
    return getattr(module, name)


@contextmanager
def _importing(what: str, folder: Path) -> Iterator[None]:
    """Modules are found in a folder too; errors while one runs are said as this package does."""
    before = list(sys.path)
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    except NumixologyError:
        raise
    except ModuleNotFoundError as error:
        library = str(error.name).partition(".")[0]
        got = f"no {library}"
        if what.startswith(library) and what not in NAMES:
            instead = "check name and folder"
            raise ArgumentError("an adapter's module can be found", got, instead) from error
        instead = " ".join(dict.fromkeys(["pip install", library] + [what] * (what in NAMES)))
        raise UnsupportedError(f"the adapter {what} needs a library", got, instead) from error
    except (Exception, SystemExit) as error:  # whatever it raises
        instead = "run it with python first"
        raise ArgumentError(f"{what} can be run", in_a_line(error), instead) from error
    finally:
        sys.path[:] = before
