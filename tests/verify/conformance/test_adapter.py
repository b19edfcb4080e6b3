"""What an adapter says of itself is checked before anything runs."""

import pytest
from support import refused

from numixology.errors import DTypeError
from numixology.verify.conformance import PROFILES, STAGES, Adapter, Textbook
from numixology.verify.conformance.adapter import declared


class Minimal:
    name = "minimal"
    dtype = "bfloat16"

    def forward(self, stage, inputs):
        raise NotImplementedError


def with_(**attributes):
    return type("Other", (Minimal,), attributes)()


def test_defaults() -> None:
    about = declared(Minimal())
    assert (about.name, about.dtype, about.accumulation) == ("minimal", "bfloat16", "float32")
    assert (about.stages, about.profile, about.has_vjp) == (list(STAGES), [], False)
    assert declared(with_(dtype="float64")).accumulation == "float64"
    assert declared(with_(accumulation=None, stages=None, profile=None)).stages == list(STAGES)


def test_what_is_declared_is_taken() -> None:
    about = declared(
        with_(
            accumulation="float64",
            stages=("gelu", "silu"),
            profile=["tails"],
            vjp=lambda self, stage, inputs, cotangent: {},
        )
    )
    assert (about.accumulation, about.stages) == ("float64", ["gelu", "silu"])
    assert (about.profile, about.has_vjp) == (["tails"], True)
    assert not declared(with_(vjp=None)).has_vjp


def test_no_stages_are_no_stages() -> None:
    assert declared(with_(stages=())).stages == []


@pytest.mark.parametrize("needed", ["name", "dtype", "forward"])
def test_what_is_missing_is_named(needed) -> None:
    attributes = {name: getattr(Minimal, name) for name in ("name", "dtype", "forward")}
    del attributes[needed]
    with refused(DTypeError, f"Other without {needed}", "numixology conform --new"):
        declared(type("Other", (), attributes)())


@pytest.mark.parametrize(
    ("attribute", "value", "says"),
    [
        ("dtype", "float8", "'float8'"),
        ("dtype", float, "<class 'float'>"),
        ("dtype", ["float32"], "['float32']"),
        ("accumulation", "bfloat16", "use float64, float32"),
        ("stages", ["gelu", "conv"], "'conv'"),
        ("profile", ["sloppy"], ", ".join(PROFILES)),
    ],
)
def test_what_is_unknown_is_refused(attribute, value, says) -> None:
    with refused(DTypeError, f"the {attribute} of an adapter is known here", says):
        declared(with_(**{attribute: value}))


def test_the_protocol_can_be_asked() -> None:
    assert isinstance(Minimal(), Adapter)
    assert isinstance(Textbook(), Adapter)
    assert not isinstance(object(), Adapter)
