"""What the layers cost, as formulas in their sizes.

B sequences of T tokens with D features, H heads, F features inside a feed-forward network, N blocks
and V ids. The formulas are written down here from the equations of the layers, without running
anything. That they equal what :func:`.complexity` counts is tested, row by row.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from ... import nn
from ...checks import positive
from ...errors import ArgumentError, ShapeError
from ...text import columns, counted

__all__ = ["ClosedForm", "ClosedRow", "added", "closed_form", "value"]

#: The order of the letters in a term.
_LETTERS = "NBHVTDF"


def value(formula: str, sizes: Mapping[str, int]) -> int:
    """What a formula is for given sizes.

    Args:
        formula: such as ``"8BTD² - 2BT"``.
        sizes: from letters to numbers.

    Returns:
        A whole number, exact however large.

    Example:
        >>> from numixology.explain.cost.closed_forms import value
        >>> value("8BTD + 2BT", {"B": 2, "T": 4, "D": 8})
        528
    """
    return sum(n * math.prod(sizes[one] for one in letters) for letters, n in _terms(formula))


def added(*formulas: str, times: str = "") -> str:
    """The sum of formulas, in which like terms are one and those of more factors come first.

    Args:
        *formulas: such as ``"8BTD² - 2BT"``.
        times: letters that are factors of every term.

    Returns:
        A formula.

    Example:
        >>> from numixology.explain.cost.closed_forms import added
        >>> added("BTD", "7BTD + 2BT")
        '8BTD + 2BT'
    """
    total: Counter[str] = Counter()
    for letters, n in (term for formula in formulas for term in _terms(formula)):
        total["".join(sorted(times + letters, key=_LETTERS.index))] += n
    text = ""
    for letters, n in sorted(total.items(), key=lambda term: -len(term[0])):
        if n:
            number = "" if abs(n) == 1 and letters else abs(n)
            text += f" {'-' if n < 0 else '+'} {number}" + re.sub(r"(.)\1", r"\1²", letters)
    return text.removeprefix(" + ") or "0"


def _terms(formula: str) -> Iterator[tuple[str, int]]:
    """The letters of each term, a square's twice, and its number."""
    for sign, number, letters in re.findall(r"([+-]?) ?(\d*)([A-Z²]*)", formula):
        if number or letters:
            yield re.sub("(.)²", r"\1\1", letters), int(f"{sign}{number or 1}")


class ClosedRow(NamedTuple):
    """One operation of a layer, and what it costs, as formulas.

    Attributes:
        name: the operation.
        flops: floating-point operations; a multiply-add counts as 2.
        multiply_adds: how many of them are multiply-adds, each counted once.
        parameters: how many numbers it has to learn.

    Example:
        >>> import numixology as nx
        >>> form = nx.explain.closed_form(nx.nn.TokenMixer(3, 8, 2), 1, 3)
        >>> for row in form.rows:
        ...     print(row.name, "|", row.flops)
        mixing | 0
        residual add | BTD
        LayerNorm | 7BTD + 2BT
    """

    name: str
    flops: str = "0"
    multiply_adds: str = "0"
    parameters: str = "0"


_Rows: TypeAlias = tuple[ClosedRow, ...]


class ClosedForm(NamedTuple):
    """What a layer costs, as formulas and for its sizes; prints as a table.

    Its numbers have the names that they have in :class:`.Complexity`.

    Attributes:
        sizes: from letters to numbers.
        rows: a :class:`.ClosedRow` for each operation, in order.

    Example:
        >>> import numixology as nx
        >>> mixer = nx.nn.TokenMixer(num_tokens=3, hidden_dim=8, num_heads=2)
        >>> print(nx.explain.closed_form(mixer, 1, 3))
        operation     FLOPs, formula  FLOPs  multiply-adds  parameters
        ------------  --------------  -----  -------------  ----------
        mixing        0                   0              0           0
        residual add  BTD                24              0           0
        LayerNorm     7BTD + 2BT        174              0          16
        total         8BTD + 2BT        198              0          16
    """

    sizes: Mapping[str, int]
    rows: tuple[ClosedRow, ...]

    @property
    def total(self) -> ClosedRow:
        """The sums of the rows."""
        return _total("total", self.rows)

    @property
    def flops(self) -> int:
        """Floating-point operations; a multiply-add counts as 2."""
        return value(self.total.flops, self.sizes)

    @property
    def multiply_adds(self) -> int:
        """How many of the operations are multiply-adds, each counted once."""
        return value(self.total.multiply_adds, self.sizes)

    @property
    def parameters(self) -> int:
        """How many numbers the layer has to learn."""
        return value(self.total.parameters, self.sizes)

    def table(self) -> list[tuple[str, ...]]:
        """The name of each row, and of their total, its FLOPs as a formula, and its numbers."""
        return [
            (row.name, row.flops, *(f"{value(formula, self.sizes):,}" for formula in row[1:]))
            for row in (*self.rows, self.total)
        ]

    def __str__(self) -> str:
        header = ("operation", "FLOPs, formula", "FLOPs", "multiply-adds", "parameters")
        return columns(header, self.table(), "<<>>>")


def closed_form(module: nn.Module, batch: int, num_tokens: int) -> ClosedForm:
    """What a layer of this package costs, by formulas alone: nothing is run.

    A layer that runs something else than the class of that name, or has a part that does, has no
    formulas. It is refused, and can be counted.

    Args:
        module: a token mixer, self-attention, a feed-forward network, shared or for each token, a
            block or a model.
        batch: B, the number of sequences.
        num_tokens: T, the number of tokens.

    Returns:
        A :class:`.ClosedForm`, which prints as a table.

    Raises:
        ArgumentError: a size is not a positive integer; another module, or a class of your own; the
            blocks of a model differ, or it has other parameters than the formulas.
        ShapeError: the module is made for another T.

    Source: guide, Computational Complexity and Parameter Distribution.

    Example:
        >>> import numixology as nx
        >>> mixer = nx.nn.TokenMixer(num_tokens=12, hidden_dim=768, num_heads=12)
        >>> form = nx.explain.closed_form(mixer, 1, 12)
        >>> print(form.total.flops, "=", form.flops)
        8BTD + 2BT = 73752
    """
    batch, num_tokens = positive(batch=batch, num_tokens=num_tokens)
    _check_own(module)
    sizes, rows = _layer(module)
    made_for = sizes.get("T", num_tokens)
    if made_for != num_tokens:
        invariant = f"the module is made for {counted(made_for, 'token')}"
        raise ShapeError(invariant, str(num_tokens), "make another module")
    form = ClosedForm({**sizes, "B": batch, "T": num_tokens}, rows)
    learnt = sum(parameter.size for parameter in module.parameters())
    if learnt != form.parameters:
        received = f"{learnt:,} parameters, not {form.parameters:,}"
        raise _unknown("parts of the usual sizes", received)
    return form


def _unknown(known: str, received: str) -> ArgumentError:
    instead = "count it with nx.explain.complexity"
    return ArgumentError(f"closed_form knows {known}", received, instead)


def _check_own(module: nn.Module) -> None:
    """Raise unless a module and its parts run what the classes of this package run."""
    kind = type(module)
    if not kind.__module__.startswith(nn.__name__):
        raise _unknown("the layers of numixology", f"a {kind.__name__}")
    for _, part in module._parts():
        _check_own(part)


def _layer(module: nn.Module) -> tuple[dict[str, int], _Rows]:
    """What the letters stand for, T only where a module is made for one, and the rows."""
    match module:
        case nn.TokenMixer():
            if isinstance(module.mixing, nn.Module):
                raise _unknown("token_mix as a mixing", f"a {type(module.mixing).__name__}")
            sizes = {"T": module.num_tokens, "D": module.hidden_dim, "H": module.num_heads}
            return sizes, _placed(module.norm_placement, (ClosedRow("mixing"),))
        case nn.SelfAttention():
            sizes = {"D": len(module.query.weight), "H": module.num_heads}
            return sizes, _attention_rows(module)
        case nn.FeedForward():
            return _network_sizes(module.linear1), _network_rows(module)
        case nn.SwiGLUFeedForward():
            return _network_sizes(module.w1), _swiglu_rows(module)
        case nn.RankMixerBlock():
            mixer, mixing = _layer(module.mixer)
            network, processing = _layer(module.ffn)
            return mixer | network, (*_named("mixer", mixing), *_named("network", processing))
        case nn.RankMixerModel():
            layers = [_layer(block) for block in module.blocks]
            if not layers or any(layer != layers[0] for layer in layers):
                raise _unknown("blocks that are alike", f"{len(layers)}, not alike")
            sizes, block = layers[0]
            own = {"V": len(module.token_embedding.weight), "N": len(layers)}
            rows = (
                ClosedRow("token embedding", parameters="VD"),
                ClosedRow("position embedding", parameters="TD"),
                ClosedRow("their sum", "BTD"),
                _total("N blocks", block, "N"),
            )
            return sizes | own | {"T": module.num_tokens}, rows
    known = "the token mixer, self-attention, the feed-forward networks, the block and the model"
    raise _unknown(known, f"a {type(module).__name__}")


def _network_sizes(first: nn.Linear | nn.PerTokenLinear) -> dict[str, int]:
    *tokens, F, D = first.weight.shape
    return {"F": F, "D": D} | ({"T": tokens[0]} if tokens else {})


# The rows of each layer, from the equations in its docstring


def _total(name: str, rows: _Rows, times: str = "") -> ClosedRow:
    _, *formulas = zip(*rows, strict=True)
    return ClosedRow(name, *(added(*column, times=times) for column in formulas))


def _linear(name: str, maps: str, layer: nn.Linear | nn.PerTokenLinear) -> ClosedRow:
    """``maps`` is DD, DF or FD: from so many features to so many, for all tokens or for each."""
    each = "T" if isinstance(layer, nn.PerTokenLinear) else ""
    products, out = added(f"BT{maps}"), maps[1]
    if layer.bias is None:
        return ClosedRow(name, f"2{products}", products, added(f"{each}{maps}"))
    held = added(f"{each}{maps}", f"{each}{out}")
    return ClosedRow(name, f"2{products} + BT{out}", products, held)


def _placed(norm: str, rows: _Rows) -> _Rows:
    """Rows with a norm, and but for a bare one a residual: after the norm or before it."""
    layer_norm = ClosedRow("LayerNorm", "7BTD + 2BT", parameters="2D")
    residual = ClosedRow("residual add", "BTD")
    match norm:
        case "pre":
            return (layer_norm, *rows, residual)
        case "bare":
            return (*rows, layer_norm)
    return (*rows, residual, layer_norm)


def _dropout(layer: nn.Dropout, of: str) -> _Rows:
    return (ClosedRow("dropout", of),) if layer.training and layer.p else ()


def _attention_rows(layer: nn.SelfAttention) -> _Rows:
    projections = [_linear("", "DD", one) for one in (layer.query, layer.key, layer.value)]
    return (
        _total("QKV projections", (*projections,)),
        ClosedRow("scores", "2BT²D", "BT²D"),
        ClosedRow("scaling", "BHT²"),
        ClosedRow("softmax", "5BHT² - 2BHT"),
        ClosedRow("weighted values", "2BT²D", "BT²D"),
        ClosedRow("heads joined"),
        _linear("output projection", "DD", layer.output),
    )


#: The operations for each element of an activation, as counted beside its equation.
_ACTIVATIONS = {"gelu": "5BTF", "gelu_tanh": "9BTF", "relu": "BTF", "silu": "5BTF"}


def _network_rows(network: nn.FeedForward) -> _Rows:
    activation = network.activation.name
    rows = (
        _linear("linear 1", "DF", network.linear1),
        ClosedRow(activation, _ACTIVATIONS[activation]),
        *_dropout(network.dropout, "BTF"),
        _linear("linear 2", "FD", network.linear2),
        *_dropout(network.dropout, "BTD"),
    )
    return _placed(network.norm_placement, rows)


def _swiglu_rows(network: nn.SwiGLUFeedForward) -> _Rows:
    rows = (
        _linear("gate projection", "DF", network.w1),
        ClosedRow("silu", _ACTIVATIONS["silu"]),
        _linear("up projection", "DF", network.w3),
        ClosedRow("gate times up", "BTF"),
        _linear("down projection", "FD", network.w2),
        *_dropout(network.dropout, "BTD"),
    )
    return _placed(network.norm_placement, rows)


def _named(part: str, rows: _Rows) -> _Rows:
    return tuple(row._replace(name=f"{part}: {row.name}") for row in rows)
