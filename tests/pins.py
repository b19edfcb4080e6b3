"""Write ``constraints.txt`` anew: the newest release of everything that tests and tools install.

Run it on the oldest supported Python, whose newest releases later ones can install too:

    python tests/pins.py torch==2.13.0

An argument holds a package where it is. What this writes is tested only when ``tox`` has passed.
"""

import configparser
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "constraints.txt"
HEADER = """\
# The versions that were tested, for tox, .ci/run and whoever wants them:
#     pip install -c constraints.txt ...
# tests/pins.py writes this file; CONTRIBUTING.md says when.
"""


def name_of(requirement: str) -> str:
    """A requirement's distribution, in the one spelling that package indices compare."""
    return re.sub(r"[-_.]+", "-", re.match(r"\s*([\w.-]+)", requirement)[1]).lower()


def requirements() -> list[str]:
    """All that the project asks for by name: to run, to build, in extras and in tox.ini."""
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    project = configuration["project"]
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", "utf-8")
    deps = [line for section in tox.values() for line in section.get("deps", "").splitlines()]
    return [
        *project["dependencies"],
        *configuration["build-system"]["requires"],
        *(one for extra in project["optional-dependencies"].values() for one in extra),
        *(line for line in [tox["tox"]["requires"], *deps] if line and not line.startswith("#")),
        "editables",  # hatchling asks for it while it builds
    ]


def pinned() -> dict[str, str]:
    """Distribution -> version in ``constraints.txt``."""
    lines = PINS.read_text("utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {name_of(name): version for name, version in pairs}


def newest(held: list[str]) -> dict[str, str]:
    """What pip would install today to meet all requirements at once, installing nothing."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    wanted = ["--only-binary", ":all:", "--report", "-", *requirements(), *held]
    done = subprocess.run([*pip, *wanted], check=True, stdout=subprocess.PIPE, text=True)
    found = (item["metadata"] for item in json.loads(done.stdout)["install"])
    return {name_of(one["name"]): one["version"].partition("+")[0] for one in found}


if __name__ == "__main__":
    versions = sorted(newest(held=sys.argv[1:]).items())
    PINS.write_text(HEADER + "".join(f"{name}=={version}\n" for name, version in versions), "utf-8")
