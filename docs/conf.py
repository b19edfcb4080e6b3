"""How the site is built: `sphinx-build -W -n docs OUTPUT`, with nothing fetched from anywhere.

Sphinx and NumPy are enough; furo and sphinx-copybutton are used where they are installed.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS.parent)]

from numpy.typing import DTypeLike  # noqa: E402
from sphinx.util.typing import stringify_annotation  # noqa: E402

from numixology import __version__, array  # noqa: E402

project = "numixology"
author = "The numixology developers"
copyright = author  # no year: two builds of one source are identical
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "accessible",
    "gallery",
    "local_inventory",
    "mathml",
    "numixology_corrections",
    "numixology_draw",
    "numixology_figure",
    "rooms",
    "numixology_play",
    "solution",
    "source_links",
    "summary",
    "together",
]
if find_spec("sphinx_copybutton"):
    extensions.append("sphinx_copybutton")
    # copy what is typed, not the prompts and the output
    copybutton_prompt_text = r">>> |\.\.\. |\$ "
    copybutton_prompt_is_regexp = True

exclude_patterns = ["_build"]
nitpicky = True
# Names that no page describes: type variables (one capital letter), private names, and an alias
# that is written as text, since it names Tensor before there is one.
nitpick_ignore_regex = [
    (r"py:class", r"Operand"),
    (r"py:(class|obj)", r"(.*\.)?[A-Z]"),
    (r"py:.*", r"(.*\.)?_\w+"),
]

default_role = "code"
highlight_language = "pycon"
pygments_style = "accessible.Light"
pygments_dark_style = "accessible.Dark"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

html_math_renderer = "mathml"
html_title = f"numixology {release}"
html_static_path = ["_static"]
html_css_files = ["glossary.css"]
html_search_scorer = str(DOCS / "_ext" / "search_scores.js")
templates_path = ["_templates"]
html_last_updated_fmt = None
html_copy_source = False
html_show_sphinx = False

if find_spec("furo"):
    html_theme = "furo"
    html_theme_options = {
        "light_css_variables": {
            "color-brand-primary": "#1f5fa8",
            "color-brand-content": "#1f5fa8",
        },
        "dark_css_variables": {
            "color-brand-primary": "#8ab8f0",
            "color-brand-content": "#8ab8f0",
        },
    }
else:
    html_theme = "alabaster"
    html_theme_options = {
        "description": "The NumPy reference for the RankMixer token mixer",
        "fixed_sidebar": True,
    }


# Signatures say Array, not what it stands for.
SPELT_OUT = {
    stringify_annotation(alias, "smart"): f"~{name}"
    for name, alias in {
        "numixology.array.Array": array.Array,
        "numixology.array.Scalar": array.Scalar,
        "numpy.typing.DTypeLike": DTypeLike,
    }.items()
}


def name_aliases(app, what, name, obj, options, signature, returns):
    for long, short in SPELT_OUT.items():
        signature = signature and signature.replace(long, short)
        returns = returns and returns.replace(long, short)
    return signature, returns


def setup(app):
    app.connect("autodoc-process-signature", name_aliases)
