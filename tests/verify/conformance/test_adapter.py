"""What an adapter says of itself is checked before anything runs."""

import pytest
from support import refused

from numixology.errors import ArgumentError, DTypeError
from numixology.verify.conformance import PROFILES, STAGES, Adapter, Textbook
from numixology.verify.conformance.adapter import Declaration


class Minimal:
    name = "minimal"
    dtype = "bfloat16"

    def forward(self, stage, inputs):
        raise NotImplementedError


def with_(**attributes):
    return type("Other", (Minimal,), attributes)()


def test_defaults() -> None:
    about = Declaration(Minimal())
    assert (about.name, about.dtype, about.accumulation) == ("minimal", "bfloat16", "float32")
    assert (about.stages, about.profile, about.has_vjp) == (list(STAGES), [], False)
    assert Declaration(with_(dtype="float64")).accumulation == "float64"
    assert Declaration(with_(accumulation=None, stages=None, profile=None)).stages == list(STAGES)


def test_what_is_declared_is_taken() -> None:
    about = Declaration(
        with_(
            accumulation="float64",
            stages=("gelu", "silu"),
            profile=["tails"],
            vjp=lambda self, stage, inputs, cotangent: {},
        )
    )
    assert (about.accumulation, about.stages) == ("float64", ["gelu", "silu"])
    assert (about.profile, about.has_vjp) == (["tails"], True)
    assert not Declaration(with_(vjp=None)).has_vjp


def test_no_stages_are_no_stages() -> None:
    assert Declaration(with_(stages=())).stages == []


@pytest.mark.parametrize("needed", ["name", "dtype", "forward"])
def test_what_is_missing_is_named(needed) -> None:
    attributes = {name: getattr(Minimal, name) for name in ("name", "dtype", "forward")}
    del attributes[needed]
    with refused(DTypeError, f"Other without {needed}", "numixology conform --new"):
        Declaration(type("Other", (), attributes)())


@pytest.mark.parametrize(
    ("attribute", "value", "says"),
    [
        ("dtype", "float8", "'float8'; did you mean 'float64'?"),
        ("dtype", float, "<class 'float'>; use float64, float32, bfloat16, float16"),
        ("dtype", ["float32"], "['float32']"),
        ("accumulation", "int", "use float64, float32"),
        ("stages", ["gelu", "conv"], "'conv'"),
        ("stages", "softmaxx", "softmax"),
        ("profile", ["sloppy"], ", ".join(PROFILES)),
        ("heads", "all", "use tokens"),
        ("requires", {"C": 3}, "'C'; use B, T, D"),
        ("rounds", "never", "'never'; use once"),
        ("subnormals", "lost", "use kept, flushed"),
        ("lost", ["strides"], "did you mean 'stride 0'?"),
        ("options", {"norms": "post"}, "did you mean 'norm'?"),
    ],
)
def test_what_is_unknown_is_refused(attribute, value, says) -> None:
    with refused(DTypeError, f"the {attribute} of an adapter is known here", says):
        Declaration(with_(**{attribute: value}))


@pytest.mark.parametrize(
    ("attribute", "value", "error", "says"),
    [
        ("requires", {"D": "=<3"}, ArgumentError, ("'=<3'", '"<=128"')),
        ("requires", {"D": [64, "<=32"]}, ArgumentError, ("64 and '<=32'",)),
        ("requires", "T=H", DTypeError, ("the requires of an adapter are a dict", "'T=H'")),
        ("options", {"ffn": "moe"}, DTypeError, ("the ffn of an adapter", "standard, swiglu")),
        ("options", ["swiglu"], DTypeError, ("write such as options = {",)),
        ("shapes", [{"B": 0}], ArgumentError, ("B=0", "write such as B=512")),
        ("shapes", [512, 16], ArgumentError, ("'512'", "write such as B=512")),
    ],
)
def test_what_cannot_be_read_is_refused(attribute, value, error, says) -> None:
    with refused(error, *says):
        Declaration(with_(**{attribute: value}))


def test_what_it_says_of_sizes_and_promises() -> None:
    about = Declaration(
        with_(
            heads="tokens",
            requires={"D": 64, "T": ["<=128", "power of two"]},
            shapes={"B": 2, "T": 4},
            options={"ffn": "swiglu"},
            rounds="once",
            subnormals="kept",
            lost=("stride 0",),
            stages="silu",
        )
    )
    assert about.requires == {"D": 64, "T": ["<=128", "power of two"], "H": "T"}
    assert (about.shapes, about.options) == ([{"B": 2, "T": 4}], {"ffn": "swiglu"})
    assert (about.rounds, about.subnormals, about.lost) == ("once", "kept", ("stride 0",))
    assert about.stages == ["silu"]
    both = ["B=2,T=4", {"D": 8}]
    assert Declaration(with_(shapes=both)).shapes == [{"B": 2, "T": 4}, {"D": 8}]
    plain = Declaration(Minimal())
    assert (plain.requires, plain.shapes, plain.options, plain.lost) == ({}, [], {}, ())
    assert (plain.rounds, plain.subnormals) == (None, None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("require", "requires"),
        ("stage", "stages"),
        ("option", "options"),
        ("accumulate", "accumulation"),
        ("profiles", "profile"),
        ("head", "heads"),
    ],
)
def test_a_mistyped_attribute_is_named(written, meant) -> None:
    with refused(DTypeError, f"got {written}; write {meant}, or _{written}"):
        Declaration(with_(**{written: ["silu"]}))
    Declaration(with_(**{written: lambda self: None}))  # a method of its own
    Declaration(with_(**{written: [], meant: None}))


# What is no adapter


class SiLU:
    """A module of torch, as far as it can be told."""

    __module__ = "torch.nn.modules.activation"

    def forward(self, x): ...

    def __call__(self, x): ...


def function(x): ...


@pytest.mark.parametrize(
    ("thing", "says"),
    [
        (SiLU(), 'SiLU without name, dtype; write torch_module(lambda sizes: SiLU, stage="silu")'),
        (function, 'function, stage="...") or jax_function(function, stage="...")'),
        (Minimal, "the class Minimal; write Minimal()"),
        (object(), "numixology conform --new"),
    ],
)
def test_what_is_no_adapter_says_what_to_write(thing, says) -> None:
    with refused(DTypeError, "an adapter has name, dtype and forward", says):
        Declaration(thing)


def test_the_protocol_can_be_asked() -> None:
    assert isinstance(Minimal(), Adapter)
    assert isinstance(Textbook(), Adapter)
    assert not isinstance(object(), Adapter)
