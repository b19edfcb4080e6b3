"""The pages that read the source: every module is there, in order, and every exercise is solved.

What their examples print is checked where they are run.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from numixology.text import columns

ROOT = Path(__file__).resolve().parents[1]
START = ROOT / "docs" / "reading.rst"
PACKAGE = ROOT / "numixology"


class Piece(NamedTuple):
    """What a literalinclude of a page shows."""

    page: str
    path: str
    options: dict[str, str]


def pages() -> list[Path]:
    """The pages of the tour, in the order in which they are read."""
    names = re.findall(r"^   (reading/\w+)$", START.read_text("utf-8"), flags=re.MULTILINE)
    return [START.parent / f"{name}.rst" for name in names]


def modules(package: Path = PACKAGE) -> set[str]:
    return {
        ".".join(path.relative_to(package).with_suffix("").parts) for path in package.rglob("*.py")
    }


def pieces(page: Path) -> Iterator[Piece]:
    lines = iter(page.read_text("utf-8").splitlines())
    for line in lines:
        if match := re.match(r"\.\. literalinclude:: \.\./\.\./(\S+)$", line):
            options = {}
            for option in lines:
                if not (found := re.match(r" +:([a-z-]+): *(.*)$", option)):
                    break
                options[found[1]] = found[2]
            yield Piece(page.stem, match[1], options)


def shown() -> list[tuple[str, str]]:
    """Page and module of every piece of the package, in order."""
    return [
        (piece.page, piece.path.removeprefix("numixology/").removesuffix(".py").replace("/", "."))
        for page in pages()
        for piece in pieces(page)
    ]


def left_out() -> dict[str, str]:
    """The modules that are named instead of shown, and why."""
    text = START.read_text("utf-8").partition("What is left out\n")[2]
    entries = re.findall(r"^- ((?:``[\w.]+``,?\s*)+): (\S[^\n]*)", text, flags=re.MULTILINE)
    return {name: why for names, why in entries for name in re.findall(r"``([\w.]+)``", names)}


def forgotten(known: set[str]) -> set[str]:
    """The modules that the pages neither show nor leave out."""
    return known - {module for _, module in shown()} - left_out().keys()


def definitions(path: Path) -> set[str]:
    """The dotted names of the functions and classes of a file, none inside a function."""

    def inside(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield prefix + node.name
                if isinstance(node, ast.ClassDef):
                    yield from inside(node.body, f"{prefix}{node.name}.")

    return set(inside(ast.parse(path.read_text("utf-8")).body, ""))


def rooms() -> list[tuple[str, ...]]:
    text = (ROOT / "tests" / "test_rooms.py").read_text("utf-8")
    (value,) = (
        node.value
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS"
    )
    return list(ast.literal_eval(value))


def room_of(module: str) -> int:
    """The number of the room that a module is in."""
    return next(
        number
        for number, room in enumerate(rooms())
        for entry in room
        if module == entry or module.startswith(f"{entry}.")
    )


def test_no_module_is_forgotten() -> None:
    assert not forgotten(modules()), f"show a piece of it, or name it in {START.name}"


def test_a_forgotten_module_would_be_found(tmp_path: Path) -> None:
    (tmp_path / "nn").mkdir()
    for name in ("errors.py", "__init__.py", "novelty.py", "nn/novelty.py"):
        (tmp_path / name).touch()
    assert forgotten(modules(tmp_path)) == {"novelty", "nn.novelty"}


def test_what_is_left_out_is_there_and_is_not_shown() -> None:
    assert left_out().keys() <= modules()
    assert not left_out().keys() & {module for _, module in shown()}


def test_every_page_of_the_folder_is_in_the_tour() -> None:
    assert {*pages()} == {*(START.parent / "reading").glob("*.rst")}


def test_the_rooms_are_read_in_order() -> None:
    numbers = [room_of(module) for _, module in shown()]
    table = columns(("page", "module"), shown(), "<<")
    assert numbers == sorted(numbers), f"a room comes too early:\n{table}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_piece_is_named_and_there(page: Path) -> None:
    for piece in pieces(page):
        assert piece.path.startswith("numixology/"), "only the package is read"
        assert piece.options.keys() <= {"pyobject", "caption"}, "lines move; name what is shown"
        assert piece.options["pyobject"] in definitions(ROOT / piece.path)
        assert piece.options.get("caption", piece.path) == piece.path


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_page_has_exercises_that_prove_themselves(page: Path) -> None:
    text = page.read_text("utf-8")
    _, _, exercises = text.partition("\nExercise")
    tasks = re.findall(r"^\*\*.+?\*\*", exercises, flags=re.MULTILINE)
    solutions = re.split(r"^\.\. solution::$", exercises, flags=re.MULTILINE)[1:]
    assert tasks and len(tasks) == len(solutions)
    for solution in solutions:
        folded = re.match(r"\n(?:\n|   .*\n)+", solution)
        assert folded and ">>> " in folded[0], "the solution shows nothing"
