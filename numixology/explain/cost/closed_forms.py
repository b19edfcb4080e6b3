"""What the layers cost, as formulas in their sizes.

B sequences of T tokens with D features, H heads, F features inside a feed-forward network, N blocks
and V ids. The formulas are written down here from the equations of the layers, without running
anything. That they equal what :func:`.complexity` counts is tested.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import index
from typing import NamedTuple, TypeAlias

from ...checks import positive
from ...errors import ArgumentError, DTypeError, ShapeError
from ...functional.mixing import divided
from ...nn import (
    Dropout,
    FeedForward,
    Linear,
    Module,
    PerTokenFeedForward,
    PerTokenLinear,
    PerTokenSwiGLU,
    RankMixerBlock,
    RankMixerModel,
    SelfAttention,
    SwiGLUFeedForward,
    TokenMixer,
)
from ...text import columns, counted
from .counting import Complexity
from .known import check_known

__all__ = ["ClosedForm", "ClosedRow", "Formula", "closed_form", "formula"]

#: The order of the letters in a term.
_LETTERS = "NBHVTDF"


@dataclass(frozen=True, slots=True, eq=False)
class Formula:
    """A polynomial in sizes, such as 8BTD + 2BT;.

    Two are equal that have the same terms, in whatever order.

    Attributes:
        terms: pairs of a coefficient and its letters, each as often as it is a factor.

    Example:
        >>> from numixology.explain.cost.closed_forms import formula
        >>> adds, norm = formula("BTD"), formula("7BTD + 2BT")
        >>> print(adds + norm)
        8BTD + 2BT
        >>> (adds + norm).at({"B": 2, "T": 4, "D": 8})
        528
    """

    terms: tuple[tuple[int, str], ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and {*self.terms} == {*other.terms}

    def __hash__(self) -> int:
        return hash(frozenset(self.terms))

    def __add__(self, other: "Formula") -> "Formula":
        return _collected((*self.terms, *other.terms))

    def times(self, number: int, letters: str = "") -> "Formula":
        """The formula so many times.

        Args:
            number: a factor of every term.
            letters: sizes that are factors too.

        Returns:
            A formula.

        Raises:
            ArgumentError: another letter.
        """
        return _collected((number * n, letters + others) for n, others in self.terms)

    def put(self, letter: str, factor: int, other: str) -> "Formula":
        """The formula where one size is so many times another, such as F = 4D.

        Args:
            letter: the size that goes.
            factor: how many times ``other`` it is.
            other: the size that stays.

        Returns:
            A formula without ``letter``.

        Raises:
            ArgumentError: ``other`` is no such letter.
        """
        return _collected(
            (n * factor ** letters.count(letter), letters.replace(letter, other))
            for n, letters in self.terms
        )

    def at(self, sizes: Mapping[str, int]) -> int:
        """The value for given sizes.

        Args:
            sizes: from letters to numbers.

        Returns:
            A whole number, exact however large.

        Raises:
            ArgumentError: a size is missing.
        """
        missing = {letter for _, letters in self.terms for letter in letters} - {*sizes}
        if missing:
            raise ArgumentError(
                f"the sizes of {self} are all given", f"no {', '.join(sorted(missing))}", "add them"
            )
        whole = {letter: index(size) for letter, size in sizes.items()}  # NumPy's would overflow
        return sum(n * math.prod(whole[letter] for letter in letters) for n, letters in self.terms)

    def __str__(self) -> str:
        written = " ".join(_written(n, letters) for n, letters in self.terms)
        return re.sub("^- ", "-", written.removeprefix("+ ")) or "0"


def formula(text: str) -> Formula:
    """Read a formula.

    Args:
        text: terms such as ``"8BTD² - 2BT + 3"``, of the letters B, T, D, H, F, N and V; a square
            may also be written ``D^2``.

    Returns:
        A :class:`.Formula`, whose ``str`` is the text with like terms added up.

    Raises:
        ArgumentError: another way to write.

    Example:
        >>> from numixology.explain.cost.closed_forms import formula
        >>> print(formula("BTD + 8BTD² - 4BTD"))
        8BTD² - 3BTD
    """
    terms = []
    for term in text.replace("^2", "²").replace("- ", "+ -").removeprefix("+ ").split(" + "):
        found = re.fullmatch(rf"(-?)(\d*)((?:[{_LETTERS}]²?)*)", term)
        if found is None or not term.strip("-"):
            raise _unreadable(text)
        sign, number, letters = found.groups()
        terms.append((int(f"{sign}{number or 1}"), re.sub("(.)²", r"\1\1", letters)))
    return _collected(terms)


def _collected(terms: Iterable[tuple[int, str]]) -> Formula:
    """Like terms added up, and those of more factors first."""
    total: Counter[str] = Counter()
    for n, letters in terms:
        if not set(letters) <= set(_LETTERS):
            raise _unreadable(letters)
        total["".join(sorted(letters, key=_LETTERS.index))] += n
    kept = [(n, letters) for letters, n in total.items() if n]
    return Formula(tuple(sorted(kept, key=lambda term: -len(term[1]))))


def _unreadable(text: str) -> ArgumentError:
    return ArgumentError(
        "a formula is a sum of terms like 8BTD²", repr(text), f"use the letters {_LETTERS}"
    )


def _written(n: int, letters: str) -> str:
    powers = re.sub(r"(.)\1", r"\1²", letters)
    number = "" if abs(n) == 1 and letters else str(abs(n))
    return f"{'-' if n < 0 else '+'} {number}{powers}"


class ClosedRow(NamedTuple):
    """One operation of a layer, and what it costs; read and written are in numbers, not bytes.

    Attributes:
        name: the operation.
        primitives: the names of the primitives that it runs, in order.
        flops: floating-point operations; a multiply-add counts as 2.
        multiply_adds: how many of them are multiply-adds, each counted once.
        parameters: how many numbers it has to learn.
        read: how many numbers it reads.
        written: how many numbers it writes.

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
    primitives: tuple[str, ...]
    flops: Formula
    multiply_adds: Formula
    parameters: Formula
    read: Formula
    written: Formula


#: The rows of a layer, and the columns that have a formula.
_Rows: TypeAlias = tuple[ClosedRow, ...]
_COSTS = ("flops", "multiply_adds", "parameters", "read", "written")


class ClosedForm(NamedTuple):
    """What a layer costs, as formulas and for its sizes; prints as a table.

    Its numbers have the names that they have in :class:`.Complexity`.

    Attributes:
        sizes: from letters to numbers.
        itemsize: bytes per number.
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
    itemsize: int
    rows: tuple[ClosedRow, ...]

    def total(self, what: str) -> Formula:
        """The sum of one column.

        Args:
            what: ``"flops"``, ``"multiply_adds"``, ``"parameters"``, ``"read"`` or ``"written"``.

        Returns:
            A :class:`.Formula`.
        """
        return _total(self.rows, what)

    @property
    def flops(self) -> int:
        """Floating-point operations; a multiply-add counts as 2."""
        return self.total("flops").at(self.sizes)

    @property
    def multiply_adds(self) -> int:
        """How many of the operations are multiply-adds, each counted once."""
        return self.total("multiply_adds").at(self.sizes)

    @property
    def parameters(self) -> int:
        """How many numbers the layer has to learn."""
        return self.total("parameters").at(self.sizes)

    @property
    def parameter_bytes(self) -> int:
        """The bytes of those."""
        return self.parameters * self.itemsize

    @property
    def bytes_read(self) -> int:
        """The bytes that the primitives read, each of its arguments once."""
        return self.total("read").at(self.sizes) * self.itemsize

    @property
    def bytes_written(self) -> int:
        """The bytes that the primitives write, each its result once."""
        return self.total("written").at(self.sizes) * self.itemsize

    def split(self, counted: Complexity) -> tuple[Complexity, ...]:
        """What was counted, for each of the rows.

        Args:
            counted: of the same layer.

        Returns:
            A :class:`.Complexity` for each row, without parameters.

        Raises:
            ArgumentError: other primitives ran, or in another order.
        """
        ran = [call.name for call in counted.rows]
        expected = [name for row in self.rows for name in row.primitives]
        if ran != expected:
            raise ArgumentError(
                f"the layer runs {', '.join(expected)}",
                ", ".join(ran) or "nothing",
                "count the layer that the formulas are of",
            )
        calls = iter(counted.rows)
        return tuple(
            Complexity(0, 0, tuple(next(calls) for _ in row.primitives)) for row in self.rows
        )

    def __str__(self) -> str:
        header = ("operation", "FLOPs, formula", "FLOPs", "multiply-adds", "parameters")
        rows = [
            (row.name, str(row.flops), *self._numbers(row.flops, row.multiply_adds, row.parameters))
            for row in self.rows
        ]
        totals = [self.total(what) for what in ("flops", "multiply_adds", "parameters")]
        return columns(header, [*rows, ("total", str(totals[0]), *self._numbers(*totals))], "<<>>>")

    def _numbers(self, *formulas: Formula) -> list[str]:
        return [f"{one.at(self.sizes):,}" for one in formulas]


def closed_form(module: Module, batch: int, num_tokens: int) -> ClosedForm:
    """What a layer of this package costs, by formulas alone: nothing is run.

    A layer that runs something else than the class of that name, or has a part that does, has no
    formulas. It is refused, and can be counted. Where T, H or D / H is 1 nothing need be copied:
    the formulas of what is read and written are then those of this case.

    Args:
        module: a token mixer, self-attention, a feed-forward network, shared or for each token, a
            block or a model.
        batch: B, the number of sequences.
        num_tokens: T, the number of tokens.

    Returns:
        A :class:`.ClosedForm`, which prints as a table.

    Raises:
        ArgumentError: a size is not a positive integer, the blocks of a model differ, or parts
            have other sizes, dtypes or parameters than the formulas.
        ShapeError: the module is made for another T, or its H no longer divides D.
        DTypeError: another module, a forward of its own, or a part of another class.

    Source: guide, Computational Complexity and Parameter Distribution.

    Example:
        >>> import numixology as nx
        >>> mixer = nx.nn.TokenMixer(num_tokens=12, hidden_dim=768, num_heads=12)
        >>> form = nx.explain.closed_form(mixer, 1, 12)
        >>> print(form.total("flops"), "=", form.flops)
        8BTD + 2BT = 73752
    """
    batch, num_tokens = positive(batch=batch, num_tokens=num_tokens)
    own, rows = _layer(module, num_tokens)
    made_for = own.get("T", num_tokens)
    if made_for != num_tokens:
        raise ShapeError(
            f"the module is made for {counted(made_for, 'token')}",
            str(num_tokens),
            "make another module",
        )
    if "H" in own:
        divided(own["D"], own["H"])
    dtypes = sorted({str(parameter.dtype) for parameter in module.parameters()})
    if len(dtypes) > 1:
        raise _unfit("parameters of one dtype", ", ".join(dtypes))
    itemsize = next(module.parameters()).dtype.itemsize
    form = ClosedForm({**own, "B": batch, "T": num_tokens}, itemsize, rows)
    learnt = sum(parameter.size for parameter in module.parameters())
    if learnt != form.parameters:
        rule = "as many parameters as its formulas have"
        raise _unfit(rule, f"{learnt:,} of {form.parameters:,}")
    return form


def _unfit(rule: str, received: str) -> ArgumentError:
    return ArgumentError(
        f"a layer with a closed form has {rule}",
        received,
        "count it with nx.explain.complexity",
    )


def _layer(module: Module, num_tokens: int) -> tuple[dict[str, int], _Rows]:
    """What the letters stand for, T only where a module is made for one, and the rows."""
    match module:
        case TokenMixer():
            check_known(module, TokenMixer)
            if isinstance(module.mixing, Module):
                rule, kind = "closed_form knows token_mix as a mixing", type(module.mixing).__name__
                raise DTypeError(rule, f"a {kind}", "count it with nx.explain.complexity")
            sizes = {"T": module.num_tokens, "D": module.hidden_dim, "H": module.num_heads}
            return sizes, _mixer_rows(module)
        case SelfAttention():
            check_known(module, SelfAttention)
            sizes = {"D": len(module.query.weight), "H": module.num_heads}
            return sizes, _attention_rows(module, num_tokens)
        case FeedForward():
            each = isinstance(module, PerTokenFeedForward)
            check_known(module, PerTokenFeedForward if each else FeedForward)
            return _network_sizes(module.linear1), _network_rows(module)
        case SwiGLUFeedForward():
            each = isinstance(module, PerTokenSwiGLU)
            check_known(module, PerTokenSwiGLU if each else SwiGLUFeedForward)
            return _network_sizes(module.w1), _swiglu_rows(module)
        case RankMixerBlock():
            check_known(module, RankMixerBlock)
            mixer, mixing = _layer(module.mixer, num_tokens)
            network, processing = _layer(module.ffn, num_tokens)
            rows = (*_named("mixer", mixing), *_named("network", processing))
            return _agreed(mixer, network), rows
        case RankMixerModel():
            check_known(module, RankMixerModel)
            layers = [_layer(block, num_tokens) for block in module.blocks]
            if not layers:
                raise _unfit("at least one block", "none")
            if any(layer != layers[0] for layer in layers):
                raise _unfit("blocks that are alike", "other sizes, parts or modes")
            sizes, block = layers[0]
            vocab_size, D = module.token_embedding.weight.shape
            own = {"V": vocab_size, "D": D, "T": module.num_tokens, "N": len(layers)}
            return _agreed(sizes, own), _model_rows(block, len(layers))
    raise DTypeError(
        "closed_form knows the token mixer, self-attention, the feed-forward networks, the block "
        "and the model",
        type(module).__name__,
        "count it with nx.explain.complexity",
    )


def _agreed(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """The sizes of two parts of a layer, in whose formulas a letter stands for the same."""
    for letter in one.keys() & other.keys():
        if one[letter] != other[letter]:
            received = f"{letter} = {one[letter]} and {letter} = {other[letter]}"
            raise _unfit("parts in which each letter stands for one size", received)
    return one | other


def _network_sizes(first: Linear | PerTokenLinear) -> dict[str, int]:
    *tokens, F, D = first.weight.shape
    return {"F": F, "D": D} | ({"T": tokens[0]} if tokens else {})


# The rows of each layer, from the equations in its docstring


def _row(name: str, *primitives: str, **costs: str) -> ClosedRow:
    """A row whose costs are 0 unless given; ``moved`` is what is read and also written."""
    moved = costs.pop("moved", "0")
    given = {"read": moved, "written": moved, **costs}
    return ClosedRow(name, primitives, *(formula(given.get(cost, "0")) for cost in _COSTS))


def _linear(name: str, maps: str, layer: Linear | PerTokenLinear) -> ClosedRow:
    """``maps`` is DD, DF or FD: from so many features to so many, for all tokens or for each."""
    into, out = maps[0], maps[1]
    each = "T" if isinstance(layer, PerTokenLinear) else ""
    bias = layer.bias is not None
    held = f"{each}{maps}" + (f" + {each}{out}" if bias else "")
    return _row(
        name,
        "per_token_linear" if each else "linear",
        flops=f"2BT{maps}" + (f" + BT{out}" if bias else ""),
        multiply_adds=f"BT{maps}",
        parameters=held,
        read=f"BT{into} + {held}",
        written=f"BT{out}",
    )


def _norm() -> ClosedRow:
    flops = "7BTD + 2BT"
    return _row(
        "LayerNorm", "layer_norm", flops=flops, parameters="2D", read="BTD + 2D", written="BTD"
    )


def _product(name: str, of: str) -> ClosedRow:
    """Two arrays, element by element; dropout in training is such a product with a mask."""
    return _row(name, "multiply", flops=of, read=f"2{of}", written=of)


def _residual() -> ClosedRow:
    return _row("residual add", "add", flops="BTD", read="2BTD", written="BTD")


def _placed(norm: str, rows: _Rows) -> _Rows:
    """Rows with a residual around them, and a norm before them or after the sum."""
    return (_norm(), *rows, _residual()) if norm == "pre" else (*rows, _residual(), _norm())


def _dropout(layer: Dropout, of: str) -> _Rows:
    return (_product("dropout", of),) if layer.training and layer.p else ()


def _together(rows: _Rows, name: str, number: int, letters: str = "") -> ClosedRow:
    """Rows that are run several times, as one: ``number`` times, which is ``letters``."""
    ran = tuple(primitive for row in rows for primitive in row.primitives) * number
    many = (1, letters) if letters else (number, "")
    return ClosedRow(name, ran, *(_total(rows, cost).times(*many) for cost in _COSTS))


def _total(rows: _Rows, cost: str) -> Formula:
    return sum((getattr(row, cost) for row in rows), formula("0"))


def _unless_one(*sizes: int) -> str:
    """What regrouping chunks copies: nothing where one of these is 1 and all lies in order."""
    return "0" if 1 in sizes else "BTD"


def _mixer_rows(mixer: TokenMixer) -> _Rows:
    copied = _unless_one(mixer.num_tokens, mixer.num_heads)
    mixing = _row("mixing", "token_mix", moved=copied)
    if mixer.norm_placement == "bare":
        return mixing, _norm()
    return _placed(mixer.norm_placement, (mixing,))


def _attention_rows(layer: SelfAttention, num_tokens: int) -> _Rows:
    joined = _unless_one(num_tokens, layer.num_heads, len(layer.query.weight) // layer.num_heads)
    heads = _row("heads", "reshape", "transpose")
    scores = {"flops": "2BT²D", "multiply_adds": "BT²D", "read": "2BTD", "written": "BHT²"}
    values = {**scores, "read": "BHT² + BTD", "written": "BTD"}
    return (
        _together((_linear("projection", "DD", layer.query), heads), "QKV projections", 3),
        _row("scores", "transpose", "matmul", **scores),
        _row("scaling", "divide", flops="BHT²", moved="BHT²"),
        _row("softmax", "softmax", flops="5BHT² - 2BHT", moved="BHT²"),
        _row("weighted values", "matmul", **values),
        _row("heads joined", "transpose", "reshape", moved=joined),
        _linear("output projection", "DD", layer.output),
    )


#: Operations per element of each activation, counted beside its equation.
_ACTIVATIONS = {"gelu": 5, "gelu_tanh": 9, "relu": 1, "silu": 5}


def _activation(name: str) -> ClosedRow:
    return _row(name, name, flops=f"{_ACTIVATIONS[name]}BTF", moved="BTF")


def _network_rows(network: FeedForward) -> _Rows:
    rows = (
        _linear("linear 1", "DF", network.linear1),
        _activation(network.activation.name),
        *_dropout(network.dropout, "BTF"),
        _linear("linear 2", "FD", network.linear2),
        *_dropout(network.dropout, "BTD"),
    )
    return _placed(network.norm_placement, rows)


def _swiglu_rows(network: SwiGLUFeedForward) -> _Rows:
    rows = (
        _linear("gate projection", "DF", network.w1),
        _activation(network.silu.name),
        _linear("up projection", "DF", network.w3),
        _product("gate times up", "BTF"),
        _linear("down projection", "FD", network.w2),
        *_dropout(network.dropout, "BTD"),
    )
    return _placed(network.norm_placement, rows)


def _named(part: str, rows: _Rows) -> _Rows:
    return tuple(row._replace(name=f"{part}: {row.name}") for row in rows)


def _model_rows(block: _Rows, num_layers: int) -> _Rows:
    return (
        _row("token embedding", "embedding", parameters="VD", moved="BTD"),
        _row("position embedding", "embedding", parameters="TD", moved="TD"),
        _row("their sum", "add", flops="BTD", read="BTD + TD", written="BTD"),
        _together(block, "N blocks", num_layers, "N"),
    )
