"""The search of the site: usual words lead to the page that explains them."""

import pytest
from website import browser

#: What is typed, and the page that comes first.
SEARCHES = {
    "token mixer": "mixer",
    "residual connection": "mixer",
    "why does the guide mix nothing": "mixer",
    "layer norm": "feed_forward",
    "feed forward": "feed_forward",
    "permutation matrix": "laws",
    "contiguous": "tips",
    "recommender": "tokenizers",
    "silu": "glossary",
    "backpropagation": "autograd",
    "chain rule": "autograd",
    "computational graph": "autograd",
    "upstream gradient": "autograd",
    "local gradient": "autograd",
    "finite differences": "gradcheck",
}


@pytest.fixture(scope="module")
def window(needs_chromium):
    with browser.opened() as opened:
        yield opened[browser.SETTINGS[0]]


@pytest.mark.parametrize("typed", SEARCHES)
def test_the_first_page_found_explains_the_word(window, built, typed):
    address = (built("once") / "search.html").as_uri() + f"?q={typed.replace(' ', '+')}"
    window.goto(address, timeout=browser.PATIENCE)
    first = window.wait_for_selector("#search-results ul.search li a", timeout=browser.PATIENCE)
    assert first.get_attribute("href").partition(".html")[0] == SEARCHES[typed]
