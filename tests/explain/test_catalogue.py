"""Every figure has a name under which it is drawn."""

import re
from xml.etree import ElementTree

import pytest
from scene_files import scene_from_json
from support import refused

from numixology.errors import ArgumentError
from numixology.explain import FIGURES, draw, mixer_scene


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_drawn_in_every_way(name) -> None:
    scene = draw(name)
    assert scene.title
    assert scene.description.endswith(".")
    assert scene.text().startswith(scene.title)
    assert scene.text().isascii()  # for terminals of any kind
    assert scene_from_json(scene.json()) == scene
    assert ElementTree.fromstring(scene.svg()).get("role") == "group"
    assert FIGURES[name].about


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_alike_every_time(name) -> None:
    assert draw(name) == draw(name)


def test_sizes_are_handed_on() -> None:
    chosen = draw("mixer", num_tokens=3, hidden_dim=10, num_heads=2, mixing="guide")
    assert chosen == mixer_scene(3, 10, 2, mixing="guide")


SIZES = ("num_tokens", "hidden_dim", "num_heads", "num_layers", "batch", "vocab_size", "ff_dim")


@pytest.mark.parametrize("name", FIGURES)
def test_one_of_something_is_singular(name) -> None:
    sizes = [size for size in FIGURES[name].options if size in SIZES]
    alone = [{size: 1} for size in sizes if size != "hidden_dim"]  # H would not divide it
    for chosen in (*alone, dict.fromkeys(sizes, 1)):
        scene = draw(name, **chosen)
        for line in (scene.description, *scene.text().split("\n")):
            assert not re.search(r"(?<![\d.,-])\b1 [a-z]+s\b", line), line


def test_unknown_figures_and_sizes_are_refused() -> None:
    with refused(ArgumentError, "unknown figure 'mixr'; did you mean 'mixer'?"):
        draw("mixr")
    with refused(ArgumentError, "figure 'ffn' takes hidden_dim, ff_dim, ", "got num_heads"):
        draw("ffn", num_heads=2)


def test_a_figure_says_what_may_be_chosen() -> None:
    assert FIGURES["permute"].options == [
        "num_tokens",
        "hidden_dim",
        "num_heads",
        "batch",
        "mixing",
    ]
