"""The architecture, held: who may import whom, and what no module may do.

The modules are parsed, never imported, so that one breach does not hide another.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "numixology"

# The rooms from the bottom to the top, and in each room its modules in order. A module imports
# only from rooms above it in this list, or from an earlier module of its own room. A room that is
# a folder ends with its `__init__`, which may import all of them; `__init__` alone is the package's
# own. An entry that is a folder (verify.conformance) stands for every module in it.
ROOMS = (
    ("version", "errors", "array"),
    ("observe", "text", "notebook"),
    ("autograd", "primitives", "modes", "checks"),
    ("shapes", "arithmetic", "reductions"),
    ("dispatch", "tensors"),
    ("numerics.kernels", "numerics.gaussian", "numerics.logistic", "numerics.__init__"),
    (
        "functional._computed",
        "functional.elementary",
        "functional.special",
        "functional.activations",
        "functional.distributions",
        "functional.normalization",
        "functional.affine",
        "functional.mixing",
        "functional.dot_product",
        "functional.losses",
        "functional.__init__",
    ),
    ("transforms",),
    (
        "nn.parameter_table",
        "nn.module",
        "nn.stateless",
        "nn.checks",
        "nn.linear",
        "nn.layer_norm",
        "nn.rms_norm",
        "nn.embedding",
        "nn.dropout",
        "nn.activation",
        "nn.attention",
        "nn.mixers",
        "nn.token_mixer",
        "nn.padded_mixing",
        "nn.tokenizers",
        "nn.routing",
        "nn.experts",
        "nn.feed_forward",
        "nn.token_mixer_large",
        "nn.rankmixer",
        "nn.pooling",
        "nn.__init__",
    ),
    (
        "optim.schedules",
        "optim.optimizer",
        "optim.sgd",
        "optim.adam",
        "optim.clipping",
        "optim.__init__",
    ),
    (
        "training.files",
        "training.saving",
        "training.loop",
        "training.metrics",
        "training.tasks",
        "training.table",
        "training.csv_file",
        "training.__init__",
    ),
    (
        "explain.trace",
        "explain.dependence",
        "explain.cost.formulas",
        "explain.cost.counting",
        "explain.cost.closed_forms",
        "explain.cost.comparison",
        "explain.cost.__init__",
        "explain.drawing.panels",
        "explain.drawing.as_text",
        "explain.drawing.as_svg",
        "explain.drawing.as_png",
        "explain.drawing.scene",
        "explain.drawing.__init__",
        "explain.figures.limits",
        "explain.figures.mixing",
        "explain.figures.shapes",
        "explain.figures.flow",
        "explain.figures.forms",
        "explain.figures.layers",
        "explain.figures.walk",
        "explain.figures.costs",
        "explain.figures.laws",
        "explain.figures.tapes",
        "explain.figures.steps",
        "explain.figures.__init__",
        "explain.catalogue",
        "explain.__init__",
    ),
    (
        "verify.gradients.executors",
        "verify.gradients.reports",
        "verify.arrays.steps",
        "verify.arrays.ufuncs",
        "verify.arrays.functions",
        "verify.arrays.matrices",
        "verify.arrays.shaken",
        "verify.arrays.__init__",
        "verify.gradients.trees",
        "verify.gradients.asking",
        "verify.gradients.problems",
        "verify.gradients.contracts",
        "verify.gradients.ladders",
        "verify.gradients.lines",
        "verify.gradients.batches",
        "verify.gradients.slopes",
        "verify.gradients.kinks",
        "verify.gradients.doubts",
        "verify.gradients.plans",
        "verify.gradients.comparisons",
        "verify.gradients.rechecks",
        "verify.gradients.nothing",
        "verify.gradients.hints",
        "verify.gradients.reporting",
        "verify.gradients.check",
        "verify.gradients.__init__",
        "verify.forms.black_box",
        "verify.forms.norms",
        "verify.forms.mixings",
        "verify.forms.networks",
        "verify.forms.naming",
        "verify.forms.__init__",
        "verify.goldens",
        "verify.suite",
        "verify.conformance",
        "verify.__init__",
    ),
    ("__init__",),
    (
        "pytest_plugin",
        "cli.printing",
        "cli.parsing",
        "cli.check",
        "cli.gradcheck",
        "cli.conform",
        "cli.draw",
        "cli.explain",
        "cli.params",
        "cli.train",
        "cli.which",
        "cli.vectors",
        "cli.__init__",
        "__main__",
    ),
)

# What may be imported besides the standard library, and by which modules.
THIRD_PARTY = {
    "": {"numpy"},
    "verify.conformance.adapters": {"jax", "jaxlib", "ml_dtypes", "onnx", "onnxruntime", "torch"},
    "pytest_plugin": {"pytest"},
    "verify.conformance.pytest_cases": {"pytest"},
}

# Modules are imported by name, while running, only to find an adapter, to load what few ask for,
# and to run the command that is typed.
BY_NAME = (
    *("training.files", "explain.drawing.as_png", "verify.conformance"),
    *("__init__", "cli.__init__"),
)

RANK = {name: rank for rank, name in enumerate(name for room in ROOMS for name in room)}


def below(module: str, folder: str) -> bool:
    """Whether `module` is `folder` or inside it; every module is inside ''."""
    return not folder or module == folder or module.startswith(folder + ".")


def entry(module: str) -> str | None:
    """The entry of ROOMS that covers a module: itself, or the folder that stands for it."""
    return next((name for name in RANK if module == name or below(module, name)), None)


def parse(package: Path) -> dict[str, ast.Module]:
    """Dotted name below the package -> syntax tree; a folder is its `__init__`."""
    return {
        ".".join(path.relative_to(package).with_suffix("").parts): ast.parse(
            path.read_text("utf-8")
        )
        for path in sorted(package.rglob("*.py"))
    }


class Imports(ast.NodeVisitor):
    """The imports of one module, resolved to modules of the package or to distributions."""

    def __init__(self, package: str, module: str, modules: Mapping[str, ast.Module]) -> None:
        self.package = package
        self.module = module
        self.modules = modules
        self.functions = 0  # how many functions enclose the current node
        self.found: list[tuple[int, str, bool]] = []  # line, target, whether it is our own
        self.inside: list[int] = []
        self.stars: list[int] = []
        self.dynamic: list[int] = []

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        self.functions += 1
        self.generic_visit(node)
        self.functions -= 1

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = visit_FunctionDef

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
        if isinstance(name, ast.Name):
            name = name.id
        if name in ("import_module", "__import__"):
            self.dynamic.append(node.lineno)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(node.lineno, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parts = [self.package, *self.module.split(".")]
            base = ".".join([*parts[: len(parts) - node.level], *filter(None, [node.module])])
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(node.lineno)
            # `from . import functional` imports a module, `from .array import Array` a name in one
            inner = self.own(f"{base}.{alias.name}")
            self.add(node.lineno, f"{base}.{alias.name}" if inner in self.modules else base)

    def add(self, line: int, dotted: str) -> None:
        if self.functions:
            self.inside.append(line)
        own = self.own(dotted)
        self.found.append((line, dotted.partition(".")[0] if own is None else own, own is not None))

    def own(self, dotted: str) -> str | None:
        """The module of this package that a dotted name is, `__init__` for a folder."""
        if not below(dotted, self.package):
            return None
        rest = dotted[len(self.package) + 1 :]
        folder = f"{rest}.__init__" if rest else "__init__"
        return folder if folder in self.modules else rest


def order_breaches(package: Path) -> Iterator[str]:
    """Modules without a room, imports against the order, and what else an import may not be."""
    modules = parse(package)
    same_entry: dict[str, set[str]] = {}
    for module, tree in modules.items():
        place = entry(module)
        if place is None:
            yield f"{module} has no room: add it to ROOMS"
            continue
        imports = Imports(package.name, module, modules)
        imports.visit(tree)
        for line, target, own in imports.found:
            goal = entry(target) if own else None
            if not own:
                allowed = {
                    n for room, names in THIRD_PARTY.items() if below(module, room) for n in names
                }
                if target not in sys.stdlib_module_names | allowed:
                    yield f"{module}:{line} imports {target}, which is no part of Python or NumPy"
            elif target not in modules:
                yield f"{module}:{line} imports {target}, which does not exist"
            elif goal is None:
                yield f"{module}:{line} imports {target}, which has no room"
            elif goal == place:
                same_entry.setdefault(module, set()).add(target)
            elif RANK[goal] > RANK[place]:
                yield f"{module}:{line} imports {target}, which comes after it"
        for line in imports.inside:
            yield f"{module}:{line} imports inside a function"
        for line in imports.stars:
            yield f"{module}:{line} imports *"
        if not any(below(module, room) for room in BY_NAME):
            for line in imports.dynamic:
                yield f"{module}:{line} imports by name"
    for cycle in cycles(same_entry):
        yield f"import cycle: {' -> '.join(cycle)}"


def assert_breaches(package: Path) -> Iterator[str]:
    """`assert` disappears under `python -O`: a package raises errors instead."""
    for module, tree in parse(package).items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Assert):
                yield f"{module}:{node.lineno} asserts"


def name_breaches(package: Path) -> Iterator[str]:
    """A module and a public function beside it would be one name for two things."""
    modules = parse(package)
    for module, tree in modules.items():
        folder = module.rpartition(".")[0]
        siblings = {
            name[len(folder) + 1 if folder else 0 :].partition(".")[0]
            for name in modules
            if below(name, folder)
        }
        is_folder = module.rpartition(".")[2] == "__init__"
        for line, name in bound_names(tree, reexports=is_folder):
            if name in siblings and not name.startswith("_"):
                yield f"{module}:{line} names something {name}, as a module beside it is named"


def bound_names(tree: ast.Module, *, reexports: bool) -> Iterator[tuple[int, str]]:
    """Functions and variables at the top of a module; in an `__init__` also names taken in.

    `from . import activations` there takes in the module itself, which is no second thing.
    """
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.Assign(targets=targets):
                yield from ((node.lineno, t.id) for t in targets if isinstance(t, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield node.lineno, name
            case ast.ImportFrom(module=str(), names=names) if reexports:
                yield from ((node.lineno, alias.asname or alias.name) for alias in names)


def alias_breaches(package: Path) -> Iterator[str]:
    """A type alias that leads back to itself explains nothing."""
    modules = parse(package)
    values: dict[str, ast.expr] = {}
    sources: dict[str, dict[str, str]] = {}  # per module: name -> where it is defined
    for module, tree in modules.items():
        names = sources[module] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    single = ast.ImportFrom(node.module, [alias], node.level, lineno=0)
                    imports = Imports(package.name, module, modules)
                    imports.visit_ImportFrom(single)
                    names[alias.asname or alias.name] = f"{imports.found[0][1]}.{alias.name}"
        for node in tree.body:
            match node:
                case ast.AnnAssign(
                    target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value
                ) if ast.unparse(annotation).rpartition(".")[2] == "TypeAlias":
                    pass
                case _ if type(node).__name__ == "TypeAlias":  # `type X = ...`, from Python 3.12
                    name, value = node.name.id, node.value  # type: ignore[attr-defined]
                case _:
                    continue
            names[name] = f"{module}.{name}"
            values[names[name]] = value
    graph = {
        alias: {sources[alias.rpartition(".")[0]].get(name, "") for name in names_in(value)}
        for alias, value in values.items()
    }
    for cycle in cycles(graph):
        yield f"type alias cycle: {' -> '.join(cycle)}"


def names_in(node: ast.expr) -> Iterator[str]:
    """The names in a type, quoted ones too."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            try:
                yield from names_in(ast.parse(part.value, mode="eval").body)
            except SyntaxError:  # a Literal's text
                continue


def cycles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """One cycle for each edge that closes one, found depth first."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> Iterator[list[str]]:
        if node in path:
            yield [*path[path.index(node) :], node]
        elif node not in done:
            for following in sorted(graph.get(node, ())):
                yield from walk(following, [*path, node])
            done.add(node)

    for start in sorted(graph):
        yield from walk(start, [])


RULES = (order_breaches, assert_breaches, name_breaches, alias_breaches)


def breaches(package: Path) -> list[str]:
    return [breach for rule in RULES for breach in rule(package)]


# The package ------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_to_its_rooms(rule) -> None:
    assert parse(PACKAGE), f"no modules in {PACKAGE}"
    assert list(rule(PACKAGE)) == []


def test_no_room_is_listed_twice() -> None:
    assert len(RANK) == sum(len(room) for room in ROOMS)


# The rules themselves, on trees small enough to see through ---------------------

FINE = {
    "__init__.py": "from .functional import activations\nfrom .tensors import Tensor",
    "array.py": "from typing import Any, TypeAlias\nimport numpy as np\nArray: TypeAlias = Any",
    "autograd.py": "from .array import Array",
    "tensors.py": "from . import autograd\nfrom numixology.array import Array\nclass Tensor: ...",
    "functional/__init__.py": "from . import activations\nfrom .activations import relu",
    "functional/_computed.py": "",
    "functional/special.py": "from ._computed import computed_by",
    "functional/activations.py": "from ..tensors import T\nfrom . import special\ndef relu(): ...",
    "nn/__init__.py": "from .linear import Linear",
    "nn/linear.py": "from numixology import functional as F\nclass Linear: ...",
    "verify/conformance/__init__.py": "from importlib import import_module\nimport_module('torch')",
    "verify/conformance/cases.py": "",
    "verify/conformance/adapters/torch.py": "import torch\nfrom ..cases import make",
    "cli/__init__.py": "from importlib import import_module\nimport_module('.params', __name__)",
    "cli/params.py": "import numixology as nx\nfrom numixology import nn, Tensor",
    "pytest_plugin.py": "import pytest",
    "__main__.py": "from .cli import main",
}


def build(root: Path, **changes: str) -> Path:
    """The fine tree with some files replaced or added."""
    package = root / "numixology"
    for name, text in (FINE | changes).items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return package


def test_a_tree_in_order_passes(tmp_path: Path) -> None:
    assert breaches(build(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "text", "breach"),
    [
        ("autograd.py", "from .tensors import Tensor", "autograd:1 imports tensors, which comes"),
        ("autograd.py", "import numixology.tensors", "autograd:1 imports tensors, which comes"),
        ("autograd.py", "from . import tensors as t", "autograd:1 imports tensors, which comes"),
        ("tensors.py", "import numixology as nx", "tensors:1 imports __init__, which comes after"),
        ("tensors.py", "from numixology import Tensor", "tensors:1 imports __init__, which comes"),
        ("tensors.py", "from .nowhere import x", "tensors:1 imports nowhere, which does not exist"),
        (
            "functional/activations.py",
            "from .. import nn",
            "imports nn.__init__, which comes after",
        ),
        ("functional/_computed.py", "from . import activations", "activations, which comes after"),
        ("functional/_computed.py", "from . import gelu", "functional.__init__, which comes after"),
        ("__init__.py", "from .cli import main", "imports cli.__init__, which comes"),
        ("cli/params.py", "from ..__main__ import main", "cli.params:1 imports __main__, which"),
        (
            "autograd.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .tensors import Tensor",
            "autograd:3 imports tensors, which comes after it",
        ),
        ("helpers.py", "", "helpers has no room"),
        ("functional/helpers.py", "", "functional.helpers has no room"),
        ("tensors.py", "def f():\n    import math", "tensors:2 imports inside a function"),
        (
            "tensors.py",
            "class A:\n  async def f(self):\n    from . import array",
            "tensors:3 imports",
        ),
        (
            "tensors.py",
            "import importlib\nimportlib.import_module('x')",
            "tensors:2 imports by name",
        ),
        ("tensors.py", "__import__('torch')", "tensors:1 imports by name"),
        ("tensors.py", "import scipy.special", "tensors:1 imports scipy, which is no part of"),
        ("verify/conformance/cases.py", "import torch", "verify.conformance.cases:1 imports torch"),
        (
            "verify/conformance/cases.py",
            "from . import adapters, cases",
            "import cycle: verify.conf",
        ),
        ("tensors.py", "from .array import *", "tensors:1 imports *"),
        ("nn/linear.py", "def f(x):\n    assert x", "nn.linear:2 asserts"),
        ("tensors.py", "def tensors(): ...", "tensors:1 names something tensors"),
        ("tensors.py", "def nn(): ...", "tensors:1 names something nn"),
        ("tensors.py", "array = primitive(np.array)", "tensors:1 names something array"),
        ("__init__.py", "from .functional import relu as tensors", "__init__:1 names something"),
        ("functional/activations.py", "def activations(): ...", "names something activations"),
        ("array.py", "A: TypeAlias = list['A']", "type alias cycle: array.A -> array.A"),
        (
            "array.py",
            "import typing as t\nA: t.TypeAlias = 'list[B]'\nB: t.TypeAlias = dict[str, A]",
            "type alias cycle: array.A -> array.B -> array.A",
        ),
        (
            "tensors.py",
            "from .array import A\nArray: TypeAlias = A\nT: TypeAlias = 'U'\nU: TypeAlias = T",
            "type alias cycle: tensors.T -> tensors.U -> tensors.T",
        ),
    ],
)
def test_a_breach_is_seen(tmp_path: Path, name: str, text: str, breach: str) -> None:
    found = breaches(build(tmp_path, **{name: text}))
    assert any(breach in one for one in found), found


def test_an_alias_cycle_through_two_modules_is_seen(tmp_path: Path) -> None:
    package = build(
        tmp_path,
        **{
            "array.py": "from .autograd import B\nA: TypeAlias = list[B]",
            "autograd.py": "from .array import A\nB: TypeAlias = list[A]",
        },
    )
    assert "type alias cycle: array.A -> autograd.B -> array.A" in breaches(package)


def test_the_new_type_statement_is_read(tmp_path: Path) -> None:
    if sys.version_info >= (3, 12):
        package = build(tmp_path, **{"array.py": "type A = list[B]\ntype B = list[A]"})
        assert "type alias cycle: array.A -> array.B -> array.A" in breaches(package)
    else:
        with pytest.raises(SyntaxError):
            build(tmp_path / "x", **{"array.py": "type A = int"}) and parse(
                tmp_path / "x" / "numixology"
            )
