"""The reference is complete: every public name is on a page, described and shown at work.

What the examples print is checked where they are run; here only what a docstring must have.
"""

import inspect
import re
import runpy
import sys
from pathlib import Path
from typing import Any, is_typeddict

import numpy as np
import pytest

import numixology as nx
from numixology.autograd import Primitive
from numixology.verify import conformance
from numixology.verify.conformance import adapters

DOCS = Path(__file__).resolve().parents[1] / "docs"
ROOMS = (
    *(nx, nx.functional, nx.nn, nx.optim, nx.training),
    *(nx.verify, nx.explain, nx.observe, nx.errors),
    *(conformance, adapters),
)

#: Sections in which arguments, or the fields of a record, are described.
ARGUMENTS = ("Args", "Attributes")
#: The sections of a docstring, in the order in which they stand.
ORDER = (*ARGUMENTS, "Returns", "Raises", "Source", "Example")

# Arguments that the docstring need not name, each for a reason.
UNNAMED = {
    "ParameterTable": "made by parameter_table(), and a tuple in all else",
    **dict.fromkeys(
        (name for name in nx.errors.__all__ if name != "NumixologyError"),
        "takes the three arguments of its base, NumixologyError",
    ),
}


#: Pages that say once, at their top, what all their functions of one number take and return.
PAGES = ("numixology.functional.activations", "numixology.functional.special")


def said_once(thing: Any) -> bool:
    """Whether a page describes the argument and the result of all its functions together."""
    return isinstance(thing, Primitive) and thing.__module__ in PAGES


def names() -> list[tuple[str, str]]:
    """Room and name of everything public."""
    return [(room.__name__, name) for room in ROOMS for name in room.__all__]


def things() -> list[Any]:
    """Every public function and class, once; a type alias is neither."""
    found: dict[int, Any] = {}
    for room, name in names():
        thing = getattr(sys.modules[room], name)
        if inspect.isclass(thing) or inspect.isfunction(inspect.unwrap(thing)):
            found.setdefault(id(thing), pytest.param(thing, id=f"{room}.{name}"))
    return list(found.values())


def in_the_reference() -> set[str]:
    """The full names that the pages in docs/api describe, and the modules they are about."""
    room, found = "", set()
    lines = "\n".join(page.read_text("utf-8") for page in sorted(DOCS.glob("api/*.rst")))
    for line in lines.splitlines():
        if match := re.match(r"\.\. currentmodule:: (\S+)", line):
            room = match[1]
            found.add(room)
        elif match := re.match(r"\.\. (?:auto)?(?:function|class|exception|data):: (\w+)", line):
            found.add(f"{room}.{match[1]}")
    return found


def sections(thing: Any) -> dict[str, str]:
    """The text of each section of a docstring, in order."""
    parts = re.split(rf"^({'|'.join(ORDER)}):", inspect.getdoc(thing) or "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def page_of(thing: Any) -> Any:
    """The module of a thing, whose docstring may say once what all its functions share."""
    return sys.modules[thing.__module__]


def described_names(text: str) -> set[str]:
    """The names before the colons of a section; several may share one: ``dim, keepdim: ...``."""
    entries = re.findall(r"^ {4}(\*{0,2}\w+(?:, *\*{0,2}\w+)*):", text, flags=re.MULTILINE)
    return {name.strip(" *") for entry in entries for name in entry.split(",")}


def arguments(thing: Any) -> dict[str, inspect.Parameter]:
    """What a function, or the making of a class, takes; nothing where that is excepted.

    A protocol or a dict of options is not made: it has attributes.
    """
    if thing.__name__ in UNNAMED or said_once(thing):
        return {}
    if getattr(thing, "_is_protocol", False) or is_typeddict(thing):
        kind = inspect.Parameter.KEYWORD_ONLY
        return {name: inspect.Parameter(name, kind) for name in thing.__annotations__}
    return dict(inspect.signature(inspect.unwrap(thing)).parameters)


def test_every_public_name_is_in_the_reference() -> None:
    described = in_the_reference()
    found = {name for room, name in names() if f"{room}.{name}" in described}
    assert {name for _, name in names()} - found == set()


def has_an_example(thing: Any) -> None:
    assert ">>> " in sections(thing).get("Example", ""), "the docstring shows no example"


def describes_every_argument(thing: Any) -> None:
    taken, found = arguments(thing), sections(thing)
    known = {name for part in ARGUMENTS for name in described_names(found.get(part, ""))}
    shared = described_names(sections(page_of(thing)).get("Args", ""))
    options = {name for name, one in taken.items() if one.kind is one.VAR_KEYWORD}
    missing = [name for name in taken if name not in known | shared | options]
    assert not missing, f"not described: {', '.join(missing)}"
    # Only what stands for any keyword, like **how, may be described by other names.
    extra = [name for name in known if name not in taken]
    assert options or not extra, f"described, but not there: {', '.join(extra)}"


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_says_once_is_all_that_its_functions_would_say(page: str) -> None:
    text = inspect.getdoc(sys.modules[page]) or ""
    for word in ("any shape", "float32", "integers", "DTypeError", "NaN"):
        assert word in text


def describes_nothing_by_a_letter_and_a_full_stop(thing: Any) -> None:
    # "D." alone is the fourth item of a list
    text = "\n".join(sections(thing).values())
    assert not re.findall(r"^ *\w+: \w\.$", text, re.MULTILINE)


def says_what_it_returns(thing: Any) -> None:
    if not inspect.isclass(thing) and not said_once(thing):
        found = sections(thing) | sections(page_of(thing))
        assert "Returns" in found, "the docstring does not say what is returned"


def has_its_sections_in_order(thing: Any) -> None:
    found = list(sections(thing))
    assert found == sorted(found, key=ORDER.index), f"the sections are {', '.join(found)}"


RULES = (
    has_an_example,
    describes_every_argument,
    describes_nothing_by_a_letter_and_a_full_stop,
    says_what_it_returns,
    has_its_sections_in_order,
)


@pytest.mark.parametrize("thing", things())
def test_every_public_name_keeps_the_rules(thing: Any) -> None:
    for rule in RULES:
        rule(thing)


def test_no_exception_is_left_over() -> None:
    public = {thing.values[0].__name__ for thing in things()}
    assert set(UNNAMED) <= public, f"not public: {', '.join(set(UNNAMED) - public)}"


def test_an_undescribed_argument_would_be_found() -> None:
    def scale(x: float, by: float) -> float:
        """Return x · by.

        Args:
            x: a number.
        """
        return x * by

    with pytest.raises(AssertionError, match="not described: by"):
        describes_every_argument(scale)
    with pytest.raises(AssertionError, match="no example"):
        has_an_example(scale)
    with pytest.raises(AssertionError, match="what is returned"):
        says_what_it_returns(scale)
    assert scale(2.0, 3.0) == 6.0


# The examples of the pages ------------------------------------------------------------------


def test_the_gradients_by_hand_are_a_right_one_and_a_wrong_one() -> None:
    found = runpy.run_path(str(DOCS / "examples" / "by_hand.py"))
    x = np.random.default_rng(0).standard_normal((2, 4))
    assert nx.gradcheck(found["swish"], x, vjp=found["backward"]).verdict == "pass"
    assert nx.gradcheck(found["swish"], x, vjp=found["forgetful"]).verdict == "fail"


def test_the_checkers_example_passes_and_its_forgetful_twin_fails() -> None:
    found = runpy.run_path(str(DOCS / "examples" / "swish.py"))
    x = np.random.default_rng(0).standard_normal((2, 4))
    assert nx.gradcheck(found["swish"], x, order=2).verdict == "pass"
    assert nx.gradcheck(found["forgetful"], x).verdict == "fail"


def test_the_backend_authors_example_is_right_but_for_one_named_bug() -> None:
    adapter = adapters.load(str(DOCS / "examples" / "adapters" / "ten_lines.py"))
    report = conformance.conform(adapter, seeds=1, quick=True)
    outcomes = {
        stage.stage: stage.outcome for stage in report.stages if stage.stage in adapter.stages
    }
    assert outcomes == {"silu": "pass", "layer_norm": "fail"}
    assert "unbiased-variance" in str(report.first_failure.diagnosis)
