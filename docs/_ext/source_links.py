"""The way back from the source of a module to its page.

Sphinx notes one module for all names of a source file, so the link of a name that is documented
under another leads nowhere. Such a link is given the module whose source it is. Its list of modules
also has those without a source of their own, such as ``builtins``, as links to no page.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

SOURCES = "_modules/"
BACK = re.compile(r'(<a class="viewcode-back" href="[^"#]*#)([^"]*)(">)')
NO_SOURCE = re.compile(r'<li><a href="builtins\.html">builtins</a></li>\n?')


def mend(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document
) -> None:
    if not pagename.startswith(SOURCES):
        return
    module = pagename.removeprefix(SOURCES).replace("/", ".")
    known = app.env.domains.python_domain.objects
    source = app.env._viewcode_modules.get(module)

    def home(link: re.Match[str]) -> str:
        before, name, after = link.groups()
        if name not in known and source:
            name = f"{module}.{name.removeprefix(source[3] + '.')}"
        return before + name + after

    context["body"] = NO_SOURCE.sub("", BACK.sub(home, context["body"]))


def setup(app: Sphinx) -> ExtensionMetadata:
    app.setup_extension("sphinx.ext.viewcode")
    app.connect("html-page-context", mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
