"""Figures in a terminal: drawn, written to files and listed."""

import pytest

import numixology as nx


def test_a_figure_is_drawn_as_text_svg_and_json(printed) -> None:
    sizes = "--tokens 3 --dim 10 --heads 2"
    scene = nx.explain.draw("merge", num_tokens=3, hidden_dim=10, num_heads=2)
    assert printed(f"draw merge {sizes}") == f"{scene.text()}\n\n{scene.description}\n"
    assert printed(f"draw merge {sizes} --format svg") == scene.svg()
    assert printed(f"draw merge {sizes} --format json") == scene.json() + "\n"


@pytest.mark.parametrize("form", ["text", "svg", "json"])
def test_a_figure_is_written_to_a_file(run, tmp_path, form) -> None:
    path = tmp_path / "figure"
    assert run(f"draw ffn --format {form} --output {path}") == (0, "", "")
    scene = nx.explain.draw("ffn")
    drawn = {
        "text": f"{scene.text()}\n\n{scene.description}",
        "svg": scene.svg(),
        "json": scene.json(),
    }[form]
    assert path.read_text(encoding="utf-8") == drawn.rstrip("\n") + "\n"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_figure_has_the_colors_of_a_theme(printed, theme) -> None:
    scene = nx.explain.draw("merge")
    assert printed(f"draw merge --format svg --theme {theme}") == scene.svg(theme)


def test_a_figure_is_written_as_png(run, tmp_path) -> None:
    path = tmp_path / "figure.png"
    assert run(f"draw merge --format png --output {path}") == (0, "", "")
    assert path.read_bytes() == nx.explain.draw("merge").png("light")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--format png", "a png is written to a file: got no --output; add --output FILE"),
        ("--theme dark", "only an svg or a png has a theme: got --format text; add --format svg"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run, options, says) -> None:
    status, out, err = run(f"draw merge {options}")
    assert (status, out) == (2, "")
    assert says in " ".join(err.split())


def test_the_list_of_figures(printed) -> None:
    out = printed("draw --list")
    assert out.startswith("Visual Representation\n  batch ")
    assert max(map(len, out.splitlines())) <= 80
    sections = {}
    for title, *lines in map(str.splitlines, out.split("\n\n")):
        sections |= {line.split()[0]: (title, line.split(maxsplit=1)[1]) for line in lines}
    without = "What the guide has no section for"
    assert sections == {
        name: (figure.guide or without, figure.about) for name, figure in nx.explain.FIGURES.items()
    }
    assert sections[list(sections)[-1]][0] == without


@pytest.mark.parametrize(
    ("option", "keyword"),
    [
        ("--batch 3", {"batch": 3}),
        ("--layers 1", {"num_layers": 1}),
        ("--vocab 7", {"vocab_size": 7}),
        ("--ff-dim 5", {"ff_dim": 5}),
        ("--ffn swiglu", {"ffn": "swiglu"}),
        ("--mixing guide", {"mixing": "guide"}),
    ],
)
def test_every_size_can_be_chosen(printed, option, keyword) -> None:
    chosen = printed(f"draw model {option}")
    assert chosen.startswith(nx.explain.draw("model", **keyword).text() + "\n\n")
    assert chosen != printed("draw model")
