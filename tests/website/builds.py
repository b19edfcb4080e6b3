"""Building the site in processes of their own, as a reader would: nothing from here leaks in."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from os import environ
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What Sphinx itself needs; everything else of the extra "docs" must be possible to do without.
NEEDED = {"sphinx", "docutils"}


def optional() -> list[str]:
    """The modules of the extra ``docs`` without which the site can be built."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = [re.match(r"[\w-]+", one)[0] for one in project["optional-dependencies"]["docs"]]
    return [name.replace("-", "_") for name in names if name not in NEEDED]


def build(
    docs: Path,
    out: Path,
    seed: int = 0,
    without: Iterable[str] = (),
    processes: int = 1,
    builder: str = "html",
) -> str:
    """Build `docs` into `out`/html; what Sphinx complained about, or nothing.

    Another builder writes into a folder of its own name.

    A module that is None in sys.modules can neither be found nor imported.
    """
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({list(without)}));"
        "from sphinx.cmd.build import main; sys.exit(main(sys.argv[1:]))"
    )
    flags = ["-q", "-W", "-n", "--keep-going", "-j", str(processes), "-b", builder]
    flags += ["-d", str(out / "doctrees")]
    done = subprocess.run(
        [sys.executable, "-c", program, *flags, str(docs), str(out / builder)],
        env={**environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 and not done.stderr else done.stdout + done.stderr + "failed"


def copy(to: Path) -> Path:
    """The sources in another folder; the ``docs`` among them."""
    hidden = shutil.ignore_patterns(".*", "__pycache__", "_build", "build", "dist", "venv")
    shutil.copytree(ROOT, to, ignore=hidden)
    return to / "docs"


def differences(one: Path, other: Path) -> list[str]:
    """The files of two folders that are not in both or not the same, byte for byte."""
    files = {
        path.relative_to(folder)
        for folder in (one, other)
        for path in folder.rglob("*")
        if path.is_file()
    }

    def content(path: Path) -> bytes | None:
        return path.read_bytes() if path.is_file() else None

    return sorted(str(f) for f in files if content(one / f) != content(other / f))
