"""What the built distributions hold: `tox -e wheel` builds them and names their folder."""

import os
import re
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import numixology

ROOT = Path(__file__).resolve().parents[2]
DIST = Path(os.environ.get("NUMIXOLOGY_DIST", ROOT / "dist"))


def only(pattern: str) -> Path:
    found = sorted(DIST.glob(pattern))
    assert len(found) == 1, f"expected one {pattern} in {DIST}, found {[p.name for p in found]}"
    return found[0]


@pytest.fixture(scope="module")
def wheel() -> dict[str, bytes]:
    with zipfile.ZipFile(only("numixology-*.whl")) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def sdist() -> dict[str, bytes]:
    """File contents by path below the archive's one folder."""
    files = {}
    with tarfile.open(only("numixology-*.tar.gz")) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member)
            if stream is not None:
                files[member.name.partition("/")[2]] = stream.read()
    return files


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, bytes]) -> Message:
    (name,) = (name for name in wheel if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel[name].decode())


def sources(folder: str, *suffixes: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes
        and not {"__pycache__", "_build"} & set(path.relative_to(ROOT).parts)
    }


def test_the_wheel_holds_the_package_and_nothing_else(wheel: dict[str, bytes]) -> None:
    assert {name.partition("/")[0] for name in wheel} == {
        "numixology",
        f"numixology-{numixology.__version__}.dist-info",
    }
    assert "numixology/py.typed" in wheel
    assert {name for name in wheel if name.endswith(".py")} == sources("numixology", ".py")
    assert not [name for name in wheel if name.endswith((".pyc", ".orig", ".rej"))]


def test_the_sdist_can_be_tested_and_documented(sdist: dict[str, bytes]) -> None:
    for name in (
        *("README.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "CITATION.cff"),
        *("constraints.txt", "pyproject.toml", "tox.ini"),
    ):
        assert name in sdist
    assert sources("numixology", ".py") <= sdist.keys()
    assert sources("tests", ".py") <= sdist.keys()
    written = (".py", ".rst", ".html", ".css", ".js", ".c", ".mjs", ".ipynb", ".svg")
    assert sources("docs", *written) <= sdist.keys()


def test_numpy_is_the_only_requirement(metadata: Message) -> None:
    required = [r for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r]
    assert required == ["numpy>=2.0"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert set(metadata.get_all("Provides-Extra", [])) == {
        *("test", "docs"),
        *("jax", "onnx", "png", "torch", "vectors"),
    }


def test_the_command_is_installed_by_the_wheel(wheel: dict[str, bytes]) -> None:
    (name,) = (name for name in wheel if name.endswith(".dist-info/entry_points.txt"))
    assert b"numixology = numixology.cli:main" in wheel[name]


def test_one_version_everywhere(metadata: Message) -> None:
    assert metadata["Version"] == numixology.__version__
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert citation is not None
    assert citation[1] == numixology.__version__
    changelog = (ROOT / "docs" / "changelog.rst").read_text()
    assert re.search(rf"^{re.escape(numixology.__version__)}\b", changelog, re.MULTILINE)


def test_what_is_installed_is_the_wheel() -> None:
    assert ROOT / "numixology" not in Path(numixology.__file__).resolve().parents
