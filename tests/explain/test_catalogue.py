"""Every figure has a name under which it is drawn."""

from xml.etree import ElementTree

import pytest
from support import refused

from numixology.errors import ArgumentError
from numixology.explain import FIGURES, Scene, draw, mixer_scene


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_drawn_in_every_way(name) -> None:
    scene = draw(name)
    assert scene.title
    assert scene.description.endswith(".")
    assert scene.text().startswith(scene.title)
    assert scene.text().isascii()  # for terminals of any kind
    assert Scene.from_json(scene.json()) == scene
    assert ElementTree.fromstring(scene.svg()).get("role") == "group"
    assert FIGURES[name].about


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_alike_every_time(name) -> None:
    assert draw(name) == draw(name)


def test_sizes_are_handed_on() -> None:
    chosen = draw("mixer", num_tokens=3, hidden_dim=10, num_heads=2, mixing="guide")
    assert chosen == mixer_scene(3, 10, 2, mixing="guide")


def test_unknown_figures_and_sizes_are_refused() -> None:
    with refused(ArgumentError, "a figure has one of the known names", "'mixr'", "mixer, partit"):
        draw("mixr")
    with refused(ArgumentError, "the figure ffn is drawn by its own", "num_heads", "hidden_dim, "):
        draw("ffn", num_heads=2)


def test_a_figure_says_what_may_be_chosen() -> None:
    assert FIGURES["permute"].options == [
        "num_tokens",
        "hidden_dim",
        "num_heads",
        "batch",
        "mixing",
    ]
