"""Write the pictures of the README: the mixing, in light colors and in dark ones.

    python tests/readme_pictures.py

A repository's page draws nothing itself, so these two are kept as files, and a test compares them
with what the package draws.
"""

from pathlib import Path

from numixology.explain import Scene, draw

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "_static"


def pictures() -> dict[Path, str]:
    """The text of each file."""
    _, partition, _, _, merge, *_ = draw("mixer").panels
    scene = Scene(
        "Token mixing",
        "Four tokens of a color each are cut into four pieces; then each has one of every color.",
        (
            partition._replace(title="Before: each token is cut into 4 pieces", note=""),
            merge._replace(title="After: each token has a piece of all", note=""),
        ),
    )
    return {FOLDER / f"mixing-{theme}.svg": scene.svg(theme) for theme in ("light", "dark")}


if __name__ == "__main__":
    for path, svg in pictures().items():
        path.write_text(svg, "utf-8")
