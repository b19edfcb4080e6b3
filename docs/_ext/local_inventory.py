"""Links to the documentation of Python and NumPy without fetching an inventory.

``sphinx -n`` reports every name that leads nowhere. Instead of downloading the lists of all names,
this writes a small inventory of the ones used here when the build begins: a new name in a
signature or a page is added to ``PYTHON`` or ``NUMPY`` below.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.typing import ExtensionMetadata

# page#anchor of the names on it; `$` is the name itself
PYTHON = {
    "py:class": {
        "library/collections.html#$": "collections.OrderedDict",
        "library/collections.abc.html#$": """
            collections.abc.Callable collections.abc.Generator collections.abc.Hashable
            collections.abc.Iterable collections.abc.Iterator collections.abc.Mapping
            collections.abc.MutableMapping collections.abc.Sequence
        """,
        "library/concurrent.futures.html#concurrent.futures.Executor": """
            concurrent.futures.Executor concurrent.futures._base.Executor
        """,
        "library/contextlib.html#$": """
            contextlib.AbstractContextManager contextlib.ContextDecorator
        """,
        "library/contextvars.html#contextvars.ContextVar": "contextvars.ContextVar",
        "library/fractions.html#$": "fractions.Fraction",
        "library/functions.html#$": "bool float int object property type",
        "library/os.html#$": "os.PathLike",
        "library/pathlib.html#$": "pathlib.Path",
        "library/stdtypes.html#$": "bytes complex dict frozenset list range set slice str tuple",
        "library/types.html#$": "types.ModuleType types.TracebackType",
        "library/typing.html#$": "typing.Generic typing.NamedTuple typing.Protocol typing.TypeVar",
    },
    "py:data": {
        "library/constants.html#$": "Ellipsis False None NotImplemented True",
        "library/typing.html#$": """
            typing.Any typing.Callable typing.ClassVar typing.Literal typing.Optional typing.Self
            typing.TypeAlias typing.Union
        """,
    },
    "py:exception": {
        "library/exceptions.html#$": """
            ArithmeticError AssertionError AttributeError BaseException Exception FloatingPointError
            IndexError KeyError NotImplementedError OverflowError RuntimeError StopIteration
            TypeError UserWarning ValueError Warning ZeroDivisionError
        """,
    },
    "py:function": {
        "library/copy.html#$": "copy.copy copy.deepcopy",
        "library/functions.html#$": "abs all any hash id isinstance len max min print repr sum",
        "library/math.html#$": "math.erf math.erfc",
    },
    "py:module": {"library/$.html": "contextvars copy math pickle"},
}
NUMPY = {
    "py:class": {
        "reference/arrays.scalars.html#$": """
            numpy.bool numpy.complexfloating numpy.complex128 numpy.complex64 numpy.float16
            numpy.float32 numpy.float64 numpy.floating numpy.generic numpy.inexact numpy.int32
            numpy.int64 numpy.integer numpy.number
        """,
        "reference/generated/$.html#$": "numpy.dtype numpy.ndarray numpy.ufunc",
        "reference/random/generator.html#$": "numpy.random.Generator",
        # where Generator says that it is defined
        "reference/random/generator.html#numpy.random.Generator": """
            numpy.random._generator.Generator
        """,
        # Sphinx takes every name in a signature for a class
        "reference/typing.html#$": "numpy.typing.ArrayLike numpy.typing.DTypeLike",
    },
    "py:data": {
        "reference/typing.html#$": """
        numpy.typing.ArrayLike numpy.typing.DTypeLike numpy.typing.NDArray
    """
    },
    "py:exception": {"reference/generated/$.html#$": "numpy.exceptions.AxisError"},
    "py:attribute": {"reference/constants.html#$": "numpy.inf numpy.nan numpy.newaxis"},
    "py:function": {
        "reference/generated/$.html#$": """
            numpy.abs numpy.allclose numpy.arange numpy.array numpy.asarray numpy.broadcast_to
            numpy.clip numpy.concatenate numpy.cumsum numpy.einsum numpy.exp numpy.expand_dims
            numpy.expm1 numpy.log numpy.log1p numpy.matmul numpy.max numpy.maximum numpy.mean
            numpy.min numpy.minimum numpy.ones numpy.power numpy.prod
            numpy.random.Generator.standard_normal numpy.reshape numpy.sign numpy.split numpy.sqrt
            numpy.square numpy.squeeze numpy.stack numpy.sum numpy.tanh numpy.transpose numpy.var
            numpy.where numpy.zeros
        """,
        "reference/random/generator.html#$": "numpy.random.default_rng",
    },
    "py:module": {
        "reference/random/index.html#module-numpy.random": "numpy.random",
        "reference/typing.html#module-numpy.typing": "numpy.typing",
    },
}
PROJECTS = {
    "python": ("Python", "3", "https://docs.python.org/3/", PYTHON),
    "numpy": ("NumPy", "2", "https://numpy.org/doc/stable/", NUMPY),
}


def inventory(project: str, version: str, names: dict[str, dict[str, str]]) -> bytes:
    """The names in Sphinx's inventory format, version 2: four lines, then compressed lines."""
    lines = []
    for role, places in sorted(names.items()):
        for uri, group in places.items():
            # only the anchor of an entry may hold `$`, so the page is written out
            lines += [f"{n} {role} 1 {uri.replace('$', n)} -\n" for n in group.split()]
    header = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: {version}\n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    return header.encode() + zlib.compress("".join(sorted(lines)).encode())


def write_inventories(app: Sphinx, config: Config) -> None:
    for key, (project, version, url, names) in PROJECTS.items():
        path = Path(app.doctreedir) / f"{key}.inv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(inventory(project, version, names))
        config.intersphinx_mapping[key] = (url, str(path))


def setup(app: Sphinx) -> ExtensionMetadata:
    app.setup_extension("sphinx.ext.intersphinx")
    # before intersphinx reads its mapping, at priority 800
    app.connect("config-inited", write_inventories, priority=700)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
