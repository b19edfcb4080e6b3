"""A layer, explained: the guide's listings, from the real functions."""

from pathlib import Path

import pytest

PAGES = Path(__file__).parents[2] / "docs"

# The guide's listings of steps 1 to 3, as they are indented here.
LISTINGS = """\
  Token 0: [a1,a2,a3,a4,a5,a6,a7,a8]
  Token 1: [b1,b2,b3,b4,b5,b6,b7,b8]
  Token 2: [c1,c2,c3,c4,c5,c6,c7,c8]
  Token 3: [d1,d2,d3,d4,d5,d6,d7,d8]

  Token 0: [[a1,a2], [a3,a4], [a5,a6], [a7,a8]]
  Token 1: [[b1,b2], [b3,b4], [b5,b6], [b7,b8]]
  Token 2: [[c1,c2], [c3,c4], [c5,c6], [c7,c8]]
  Token 3: [[d1,d2], [d3,d4], [d5,d6], [d7,d8]]

  Head 0: [[a1,a2], [b1,b2], [c1,c2], [d1,d2]]
  Head 1: [[a3,a4], [b3,b4], [c3,c4], [d3,d4]]
  Head 2: [[a5,a6], [b5,b6], [c5,c6], [d5,d6]]
  Head 3: [[a7,a8], [b7,b8], [c7,c8], [d7,d8]]

  0 to 3, head 0:   [a1,a2] [b1,b2] [c1,c2] [d1,d2]
  4 to 7, head 1:   [a3,a4] [b3,b4] [c3,c4] [d3,d4]
  8 to 11, head 2:  [a5,a6] [b5,b6] [c5,c6] [d5,d6]
  12 to 15, head 3: [a7,a8] [b7,b8] [c7,c8] [d7,d8]"""
IDENTITY = """\
Step 4c: Merge  (2, 4, 4, 2) -> (2, 4, 8)
  Token 0: [a1,a2,a3,a4,a5,a6,a7,a8]
  Token 1: [b1,b2,b3,b4,b5,b6,b7,b8]
  Token 2: [c1,c2,c3,c4,c5,c6,c7,c8]
  Token 3: [d1,d2,d3,d4,d5,d6,d7,d8]

  every token is what it was: no token sees another"""


@pytest.mark.parametrize("more", ["", " --mixing guide"])
def test_the_mixer_shows_the_guides_listings(printed, more) -> None:
    out = printed("explain mixer --tokens 4 --dim 8 --heads 4" + more)
    for listing in LISTINGS.split("\n\n"):
        assert f"\n{listing}\n" in out
    assert out == printed("explain mixer" + more)


def test_the_guides_mixing_is_the_identity(printed) -> None:
    assert IDENTITY in printed("explain mixer --mixing guide")
    assert IDENTITY not in printed("explain mixer")


def test_the_mixer_with_more_tokens_than_heads(printed) -> None:
    out = printed("explain mixer --tokens 3 --dim 4 --heads 2 --batch 5")
    merge = "  Token 0: [a1,a2,b1,b2]\n  Token 1: [c1,c2,a3,a4]\n  Token 2: [b3,b4,c3,c4]\n"
    assert merge in out
    assert "(5, 3, 4)" in out


def test_feed_forward_networks(printed) -> None:
    out = printed("explain ffn")
    assert "4,723,968 parameters" in out
    assert "  linear1     (4, 8, 3072)  expand\n" in out
    out = printed("explain ffn --ffn swiglu")
    assert "7,079,424 parameters" in out
    assert "w3        (4, 8, 3072)  up; reads norm\n" in out
    out = printed("explain ffn --dim 4 --ff-dim 6 --batch 1 --tokens 2")
    assert "  linear1     (1, 2, 6)  expand\n" in out


def test_the_model(printed) -> None:
    out = printed("explain model")
    assert "\n\nModel of 2 layers, 9,200 parameters" in out
    assert "  position_embedding  (4, 8)\n" in out
    assert "blocks.1" in out
    out = printed(
        "explain model --batch 1 --tokens 6 --dim 4 --heads 2 --layers 3 --vocab 5 --ff-dim 3 "
        "--ffn swiglu --mixing guide",
    )
    assert "  input ids           (1, 6)\n" in out
    assert "  multiply   (1, 6, 3)     gate times up; reads silu and w3\n" in out
    assert "unflatten" in out
    assert "blocks.2" in out


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("attention", "y = W_o · concat over heads of softmax(Q Kᵀ / √d) V, ", "what it gets."),
        ("norm", "y = (x - mean) / √(var + eps) · weight + bias ", "the step norm and after it."),
        ("permute", "One step of the token mixer: ", "the step permute and after it."),
        ("shuffle", "Where each chunk goes: from place i to iT mod (N - 1)", "and after it."),
    ],
)
def test_prose_stands_before_the_figure_and_its_caption_below(printed, name, first, last) -> None:
    out = " ".join(printed(f"explain {name}").split())
    assert out.startswith(first)
    assert out.endswith(last)
    assert " ".join(printed(f"draw {name}").split()) in out


def test_without_a_name_all_are_listed(printed) -> None:
    figures, words = printed("explain").split("\n\nWords: ")
    assert f"{figures}\n" == printed("draw --list")
    assert "token, token-mixer, " in " ".join(words.split())


@pytest.mark.parametrize(
    ("words", "figure", "page"),
    [
        ("backpropagation", "tape-backward", "autograd"),
        ("autograd", "tape", "autograd"),
        ("upstream gradient", "tape-backward", "autograd"),
        ("computational graph", "tape", "autograd"),
        ("finite differences", "step-sizes", "gradcheck"),
        ("chain rule", "tape-backward", "autograd"),
        ("Permutation matrix", "jacobian", "laws"),
        ("token mixer", "mixer", "mixer"),
        ("GELU", "activations", "feed_forward"),
        ("gradient-descent", "walk-backward", "model"),
    ],
)
def test_usual_words_lead_to_a_figure_and_a_page(printed, words, figure, page) -> None:
    *out, last = printed(f"explain {words}").splitlines()
    assert out[:-1] == printed(f"explain {figure}").splitlines()
    said = words.lower().replace("-", " ")
    assert last == f"The figure is called {figure}; docs/{page}.rst explains {said}."
    assert (PAGES / f"{page}.rst").exists()


def test_a_word_that_nothing_has(refused) -> None:
    assert "did you mean 'backpropagation'?" in refused("explain backprop")
