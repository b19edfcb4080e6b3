"""The way back from the source of a module to its page.

Sphinx notes one module for all names of a source file, so the link of a name that is documented
under another leads nowhere. Such a link is given the module under which it is documented: the one
whose source it is, or one that hands it on. Its list of modules also has those without a source of
their own, such as ``builtins``, as links to no page.

A module in which no documented name was found, such as ``numpy``, gets no page. Sphinx forgets most
of those by chance, while it reads the pages that come later, and fewer where several are read at
once; here all are.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.typing import ExtensionMetadata

SOURCES = "_modules/"
BACK = re.compile(r'(<a class="viewcode-back" href="[^"#]*#)([^"]*)(">)')
NO_SOURCE = re.compile(r'<li><a href="builtins\.html">builtins</a></li>\n?')


def forget_unused(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Leave out modules of whose source nothing is linked to."""
    found = getattr(env, "_viewcode_modules", {})
    for module in [name for name, entry in found.items() if entry and not entry[2]]:
        del found[module]
    return []  # no page need be read again


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
            end = "." + name.removeprefix(source[3] + ".")
            homes = [one.removesuffix(end) for one in known if one.endswith(end)]
            homes = [one for one in homes if one in sys.modules]  # a class may have such a method
            name = (module if module in homes else homes[0]) + end
        return before + name + after

    context["body"] = NO_SOURCE.sub("", BACK.sub(home, context["body"]))


def setup(app: Sphinx) -> ExtensionMetadata:
    app.setup_extension("sphinx.ext.viewcode")
    app.connect("env-updated", forget_unused)
    app.connect("html-page-context", mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
