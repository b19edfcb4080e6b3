"""Routers: how much each expert of a token counts, and how few of them do.

A router takes tokens s (B, T, D) to gates G ≥ 0 of shape (B, T, E), where E is the number of
experts of a token. Its scores h(s_t) = W_t s_t + b_t are linear, with weights of its own for each
token. A gate of 0 leaves its expert out. A router announces the gates that serve as the step
``serving_gates``, in training too.

Gates G = ReLU(h(s)) leave out more experts the more their sum is penalized. RankMixer trains with a
dense router and serves with that sparse one, and does not say how the loss of the task reaches the
sparse one. Four answers are in use; h' is a second linear map:

============== ======================================= ============ ==============================
policy         gates in training                       when serving what h learns from
============== ======================================= ============ ==============================
``"joint"``    softmax(h'(s)) and ReLU(h(s)), by turns ReLU(h(s))   the task and the penalty
``"separate"`` softmax(h'(s))                          ReLU(h(s))   the penalty alone
``"tied"``     softmax(h(s))                           ReLU(h(s))   the penalty, the task by softmax
``"single"``   ReLU(h(s))                              ReLU(h(s))   the task and the penalty
============== ======================================= ============ ==============================

By turns means that the samples 0, 2, 4, … of a batch go through the dense routers of all layers,
and the others through the sparse ones. So a loss that is a mean over the batch is half that of the
dense network and half that of the one that serves. Shuffle the samples, so that each goes through
both.

Where a score is 0 ReLU has a kink, and where the last score that is chosen equals the first that is
not, the choice of the k largest jumps. :func:`numixology.gradcheck` reports both.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from ..arithmetic import where
from ..array import Array, DTypeLike, Setting, real_part
from ..checks import fitting_state, one_of, positive
from ..errors import ArgumentError, TapeError, shown
from ..functional.activations import relu
from ..functional.distributions import softmax
from ..observe import observing, step
from ..tensors import Tensor
from .linear import PerTokenLinear
from .module import Module, Rng

__all__ = ["AdaptiveRegularizer", "ReLURouter", "RoutingPolicy", "TopKRouter"]

#: How a router with ReLU gates is trained.
RoutingPolicy: TypeAlias = Literal["joint", "separate", "tied", "single"]


class ReLURouter(Module):
    """G = ReLU(h(s)) when serving; in training the gates of its policy.

    The parts are ``sparse``, which is h, and ``dense``, which is h', where the policy has one.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_experts: E, the number of experts of a token.
        policy: ``"joint"``, ``"separate"``, ``"tied"`` or ``"single"``, see above.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with s (B, T, D), G (B, T, E), in training mode those of training.

    Source: RankMixer (arXiv 2507.15551); ReMoE (arXiv 2412.14711).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> router = nx.nn.ReLURouter(4, 8, 3, "tied", rng=0)
        >>> s = np.random.default_rng(0).standard_normal((2, 4, 8))
        >>> router(s).data.sum(axis=-1)[0]
        array([1., 1., 1., 1.])
        >>> int((router.eval()(s).data == 0).sum())
        9
    """

    _settings = ("policy",)

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_experts: int,
        policy: RoutingPolicy = "joint",
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        one_of("policy", policy, get_args(RoutingPolicy))
        rng = np.random.default_rng(rng)
        self.policy = policy
        self.sparse = PerTokenLinear(num_tokens, hidden_dim, num_experts, rng=rng, dtype=dtype)
        if policy in ("joint", "separate"):
            self.dense = PerTokenLinear(num_tokens, hidden_dim, num_experts, rng=rng, dtype=dtype)

    def forward(self, s: Tensor) -> Tensor:
        """(B, T, D) to (B, T, E)."""
        scores = self.sparse(s)  # (B, T, E)
        serving = step("serving_gates", relu(scores))
        if not self.training or self.policy == "single":
            return serving
        if self.policy == "tied":
            return softmax(scores)
        dense = softmax(self.dense(s))
        if self.policy == "separate":
            return dense
        evens: Any = np.arange(len(s)).reshape(-1, 1, 1) % 2 == 0
        by_turns: Tensor = where(evens, dense, serving)
        return by_turns


class TopKRouter(Module):
    """G = α softmax(h(s)) for the k largest scores of a token, else 0; the same in training.

    Of equal scores those of the first experts are taken. The chosen gates keep their share of all
    E, and α = E / k, the inverse of the sparsity, makes up for the shares that are left out. The
    one part is ``scores``, which is h.

    Args:
        num_tokens: T, the number of tokens.
        hidden_dim: D, the number of features.
        num_experts: E, the number of experts of a token.
        top_k: k, how many of them count, at most E.
        gate_scale: α; E / k if None.
        rng, dtype: see :mod:`numixology.nn`.

    Returns:
        When called with s (B, T, D), G (B, T, E).

    Source: TokenMixer-Large, Sparse-Pertoken MoE, as reported. The reports do not say whether the
    chosen shares add up to 1 before they are scaled; here all E do.

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> router = nx.nn.TopKRouter(4, 8, 3, 2, rng=0)
        >>> s = np.random.default_rng(0).standard_normal((2, 4, 8))
        >>> (router(s).data > 0).sum(axis=-1)[0], router.gate_scale
        (array([2, 2, 2, 2]), 1.5)
    """

    _settings = ("top_k", "gate_scale")

    def __init__(
        self,
        num_tokens: int,
        hidden_dim: int,
        num_experts: int,
        top_k: int,
        gate_scale: float | None = None,
        *,
        rng: Rng = None,
        dtype: DTypeLike = np.float64,
    ) -> None:
        E, k = positive(num_experts=num_experts, top_k=top_k)
        if k > E:
            got, instead = f"{k} of {E}", f"use a number from 1 to {E}"
            raise ArgumentError("top_k is at most num_experts", got, instead)
        self.top_k, self.gate_scale = k, E / k if gate_scale is None else float(gate_scale)
        self.scores = PerTokenLinear(num_tokens, hidden_dim, E, rng=rng, dtype=dtype)

    def forward(self, s: Tensor) -> Tensor:
        """(B, T, D) to (B, T, E)."""
        scores = self.scores(s)  # (B, T, E)
        shares = softmax(scores) * _largest(scores, self.top_k)
        return step("serving_gates", self.gate_scale * shares)


def _largest(scores: Any, k: int) -> Array:
    """Whether a score is one of the k largest of its token: a choice, which has no slope."""
    values = real_part(np.asarray(scores))
    chosen = np.argsort(-values, axis=-1, kind="stable")[..., :k]  # of equal ones the first
    mask = np.zeros(values.shape, np.bool_)
    np.put_along_axis(mask, chosen, True, axis=-1)
    return mask


class AdaptiveRegularizer:
    """λ Σ G, the sum over the experts of a sample, with a λ steered towards so many active experts.

    Where more experts than the budget are active, :meth:`update` multiplies λ by the factor; where
    fewer are, it divides λ by it. The gates are those that serve, of all layers that were called
    while watching.

    Args:
        budget: how many experts of a token shall be active, on average over tokens and layers.
        weight: λ, at first.
        factor: what λ is multiplied or divided by, above 1.

    Raises:
        ArgumentError: one of them is not positive, or the factor not above 1.

    Source: RankMixer (arXiv 2507.15551); ReMoE (arXiv 2412.14711).

    Example:
        >>> import numpy as np
        >>> import numixology as nx
        >>> router = nx.nn.ReLURouter(4, 8, 6, rng=0)
        >>> regularizer = nx.nn.AdaptiveRegularizer(budget=2)
        >>> with regularizer.watching():
        ...     gates = router(np.random.default_rng(0).standard_normal((32, 4, 8)))
        >>> regularizer.penalty().backward()
        >>> round(regularizer.active, 1)
        2.7
        >>> regularizer.update()
        >>> regularizer.weight
        1.2e-08
    """

    def __init__(self, budget: float, weight: float = 1e-8, factor: float = 1.2) -> None:
        for name, value, least in (
            ("budget", budget, 0),
            ("weight", weight, 0),
            ("factor", factor, 1),
        ):
            if not value > least:
                raise ArgumentError(f"{name} is above {least}", shown(value), "use e.g. 2")
        self.budget, self.weight, self.factor = float(budget), float(weight), float(factor)
        self._gates: list[Tensor] = []

    def watching(self) -> Setting:
        """Collect the gates of all routers that are called inside the ``with`` block.

        Returns:
            A context manager, which holds in this thread or task only.
        """
        self._gates = []
        return observing(self._see)

    def _see(self, name: str, value: Any) -> None:
        if name == "serving_gates":
            self._gates.append(value)

    def _seen(self) -> list[Tensor]:
        if not self._gates:
            invariant = "a regularizer has watched a model with routers"
            instead = "call the model inside `with regularizer.watching():`"
            raise TapeError(invariant, "no gates", instead)
        return self._gates

    def penalty(self) -> Tensor:
        """λ Σ G over tokens, experts and layers, on average over the batch.

        Returns:
            A single number, to be added to the loss.
        """
        first, *others = [gates.sum() / len(gates) for gates in self._seen()]
        for one in others:
            first = first + one
        return self.weight * first

    @property
    def active(self) -> float:
        """How many experts of a token are active, on average over batch, tokens and layers."""
        return float(np.mean([(np.asarray(g) > 0).sum(axis=-1).mean() for g in self._seen()]))

    def update(self) -> None:
        """Take λ a step towards the budget, after the gates that were seen last."""
        active = self.active
        if active > self.budget:
            self.weight *= self.factor
        elif active < self.budget:
            self.weight /= self.factor

    def state_dict(self) -> dict[str, Array]:
        """λ as ``"weight"``, so that ``nx.save`` saves it with the model.

        Returns:
            A dict of one array.
        """
        return {"weight": np.array(self.weight)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the λ that :meth:`state_dict` gave.

        Args:
            state: a number under ``"weight"``.

        Raises:
            StateDictError: there is none, or something else.
        """
        self.weight = float(fitting_state(state, self.state_dict())["weight"])
