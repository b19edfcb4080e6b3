"""What is too large for a figure is refused before anything of that size is made."""

import tracemalloc

import pytest
from support import refused

from numixology.errors import ArgumentError, NumixologyError
from numixology.explain import FIGURES, draw
from numixology.explain.figures.limits import network_within, within

HUGE = 10**9
LETTERS = (
    *("batch", "num_tokens", "hidden_dim", "num_heads"),
    *("num_layers", "vocab_size", "ff_dim"),
)


def test_the_product_counts() -> None:
    within(12, rows=3, columns=4)
    with refused(ArgumentError, "for a figure rows * columns is at most 11", "12", "choose small"):
        within(11, rows=3, columns=4)


def test_each_is_a_positive_integer() -> None:
    for wrong in (0, -1, 1.0, "2", None):
        with refused(ArgumentError, "columns is a positive integer", repr(wrong)):
            within(10, rows=1, columns=wrong)
        with refused(ArgumentError, "hidden_dim is a positive integer", repr(wrong)):
            network_within(wrong, 4)


def test_a_network_is_bounded_by_its_parameters_and_by_what_passes_through() -> None:
    network_within(768, None, 8, 128)
    with refused(ArgumentError, "hidden_dim * ff_dim", "144,000,000"):
        network_within(6000, None)
    with refused(ArgumentError, "num_tokens * hidden_dim", "16,000,000"):
        network_within(16, 1, 1000, 1000)
    network_within(768, None, 8, 128, "swiglu")
    with refused(ArgumentError, "num_tokens * hidden_dim * ff_dim is at most"):
        network_within(768, None, 8, 128, "per_token_swiglu")
    with refused(ArgumentError, "num_tokens * ff_dim", "16,000,000"):
        network_within(1, 16, 1000, 1000)


SIZED = [(name, size) for name in FIGURES for size in FIGURES[name].options if size in LETTERS]


@pytest.mark.parametrize(("name", "size"), SIZED)
def test_no_figure_computes_what_is_huge(name, size) -> None:
    chosen = {size: HUGE}
    if size == "num_heads" and "hidden_dim" in FIGURES[name].options:
        chosen["hidden_dim"] = HUGE  # which it divides
    tracemalloc.start()
    try:
        draw(name, **chosen)
    except ValueError as error:
        assert isinstance(error, NumixologyError), error
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 50e6
