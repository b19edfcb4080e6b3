"""What must hold of the pages as they are written: everything in them runs."""

import re
from pathlib import Path
from typing import NamedTuple

#: The languages of a block that is Python; one without a language has the default of conf.py.
PYTHON = {"", "default", "doctest", "py", "py3", "pycon", "pycon3", "python", "python3"}
DIRECTIVE = re.compile(r"( *)\.\. (code-block|code|sourcecode|testcode|highlight)::(?: +(\S+))?$")
FENCE = re.compile(r"( *)(```+|~~~+)\s*(\w*)")
BOXES = re.compile("[─-╿]")
SKIPPED = re.compile(r"\+SKIP|:skipif:|__doctest_skip__")


class Block(NamedTuple):
    """A block of code: the line it begins on, its language and its text."""

    line: int
    language: str
    text: str


def indented(lines: list[str], start: int, indent: int) -> str:
    """The lines from `start` on that are blank or further in than `indent`."""
    end = start
    while end < len(lines) and (
        not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indent
    ):
        end += 1
    return "\n".join(lines[start:end])


def blocks(text: str) -> list[Block]:
    """The blocks of code of a page in reStructuredText; what `literalinclude` shows is none."""
    found, default, after = [], "", -1
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if i < after:
            continue  # inside a block: nothing there is markup
        directive = DIRECTIVE.match(line)
        if directive and directive[2] == "highlight":
            default = directive[3] or ""
        elif directive:
            language = directive[3] or ("python" if directive[2] == "testcode" else default)
            body = indented(lines, i + 1, len(directive[1]))
            found.append(Block(i + 1, language, body))
            after = i + 1 + body.count("\n") + 1
        elif line.endswith("::") and not line.lstrip().startswith(".. "):
            body = indented(lines, i + 1, len(line) - len(line.lstrip()))
            found.append(Block(i + 1, default, body))
            after = i + 1 + body.count("\n") + 1
    return found


def fenced(text: str) -> list[Block]:
    """The blocks of code of a page in Markdown."""
    found = []
    opened: tuple[int, str, str] | None = None
    lines = text.splitlines()
    for i, line in enumerate(lines):
        fence = FENCE.match(line)
        if fence and opened is None:
            opened = (i + 1, fence[2], fence[3])
        elif opened and line.strip().startswith(opened[1]):
            found.append(Block(opened[0], opened[2], "\n".join(lines[opened[0] : i])))
            opened = None
    return found


# Rules


def not_run(path: Path) -> list[str]:
    """Every block of Python has a prompt, so that the tests of the pages run it."""
    text = path.read_text("utf-8")
    found = fenced(text) if path.suffix == ".md" else blocks(text)
    return [
        f"{path.name}:{block.line}: Python without >>>: nobody runs it"
        for block in found
        # in Markdown, a fence without a language is plain text
        if block.language.lower() in (PYTHON - {""} if path.suffix == ".md" else PYTHON)
        and ">>>" not in block.text
    ]


def skipped(path: Path) -> list[str]:
    """No example says that it is not to be run."""
    return lines_with(SKIPPED, path, "an example that is skipped")


def pasted_boxes(path: Path) -> list[str]:
    """No picture is pasted in: the running code draws them."""
    return lines_with(BOXES, path, "a box-drawing character")


def lines_with(pattern: re.Pattern[str], path: Path, what: str) -> list[str]:
    lines = path.read_text("utf-8").splitlines()
    return [f"{path.name}:{i}: {what}" for i, line in enumerate(lines, 1) if pattern.search(line)]
