"""The rooms of the package, from the list that the tests hold the imports to.

.. code-block:: rst

    .. rooms::
    .. rooms:: verify.conformance

Without an argument each room of ``ROOMS`` in ``tests/test_rooms.py`` with its modules, in order;
with one, the modules in that folder. What a module is about is the first sentence of its own
docstring, and where it is read is the page that includes a piece of it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, ROOMS, PAGES = ROOT / "numixology", ROOT / "tests/test_rooms.py", ROOT / "docs/reading"


def listed() -> list[list[str]]:
    """The literal behind ``ROOMS``; the tests are not imported."""
    for statement in ast.parse(ROOMS.read_text("utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "ROOMS":
            return [list(room) for room in ast.literal_eval(statement.value)]
    raise LookupError(f"{ROOMS} assigns ROOMS")


def place(module: str) -> Path:
    """The file of a module, or the folder of one that stands for a folder."""
    path = PACKAGE.joinpath(*module.split("."))
    return path if path.is_dir() else path.with_suffix(".py")


def files(module: str) -> list[Path]:
    """The module itself first, and if it stands for a folder what else is in that."""
    path = place(module)
    return [path / "__init__.py", *inside(path)] if path.is_dir() else [path]


def inside(folder: Path) -> list[Path]:
    """The modules of a folder and of those in it, no ``__init__`` among them."""
    return sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py")


def about(path: Path) -> str:
    """The first sentence of a module's docstring."""
    doc = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    first = " ".join(doc.partition("\n\n")[0].split())
    return re.split(r"(?<=[.?])\s", first)[0].replace("|", r"\|")  # not a substitution


def length(paths: list[Path]) -> str:
    return str(sum(len(path.read_text("utf-8").splitlines()) for path in paths))


def read_on(path: Path) -> str:
    """A link to the page that shows a piece of a file, or of a folder; empty if none does."""
    shown = f"literalinclude:: ../../{path.relative_to(ROOT).as_posix()}"
    pages = [page for page in sorted(PAGES.glob("*.rst")) if shown in page.read_text("utf-8")]
    return f":doc:`/reading/{pages[0].stem}`" if pages else ""


def entry(name: str, paths: list[Path]) -> str:
    """An item of a list: a module, how long it is, and what it says of itself."""
    return f"- ``{name}``, {length(paths)} lines. {about(paths[0])}"


class Rooms(SphinxDirective):
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        for source in (ROOMS, *PACKAGE.rglob("*.py"), *PAGES.glob("*.rst")):
            self.env.note_dependency(str(source))
        if not self.arguments:
            return self.parse_text_to_nodes("\n".join(of_package()))
        folder = place(self.arguments[0])
        if not folder.is_dir():
            raise self.error(f"rooms: the package has no folder {self.arguments[0]}")
        return self.parse_text_to_nodes("\n".join(of_folder(folder)))


def of_folder(folder: Path) -> list[str]:
    return [entry(path.relative_to(folder).as_posix(), [path]) for path in inside(folder)]


def of_package() -> list[str]:
    lines = []
    for number, room in enumerate(listed(), start=1):
        there = [module for module in room if place(module).exists()]
        pages = dict.fromkeys(page for module in there if (page := read_on(place(module))))
        read = f": {', '.join(pages)}" if pages else ""
        lines.append(f"Room {number}{read}")
        lines += [f"   {entry(module, files(module))}" for module in there]
        lines.append("")
    return lines


def setup(app: Sphinx) -> ExtensionMetadata:
    app.add_directive("rooms", Rooms)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
