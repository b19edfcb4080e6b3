"""Layers of x[b][t][i]: norms, linear, embedding, mixing and attention, index by index.

Parameters are lists: a weight is weight[out][in]. ``*_gradients`` returns a dict from the names of
the arguments to their gradients, summed in explicit loops over everything they had a part in.
"""

from typing import Any

import mpmath as mp
from oracle import rows
from oracle.arithmetic import dot, through, times, total

Batch = list[Any]
Gradients = dict[str, Any]


def _all_rows(x: Batch) -> list[list[Any]]:
    return [row for sequence in x for row in sequence]


# LayerNorm --------------------------------------------------------------------


def layer_norm(x: Batch, weight: list[Any], bias: list[Any], eps: float) -> Batch:
    return [[rows.layer_norm(row, weight, bias, eps) for row in sequence] for sequence in x]


def layer_norm_gradients(ct: Batch, x: Batch, weight: list[Any], eps: float) -> Gradients:
    pairs = [
        [rows.layer_norm_gradient(c, row, weight, eps) for c, row in zip(cs, sequence, strict=True)]
        for cs, sequence in zip(ct, x, strict=True)
    ]
    shares = [share for sequence in pairs for _, share in sequence]
    return {
        "x": [[dx for dx, _ in sequence] for sequence in pairs],
        "weight": [total([share[i] for share in shares]) for i in range(len(weight))],
        "bias": [total([row[i] for row in _all_rows(ct)]) for i in range(len(weight))],
    }


def rms_norm(x: Batch, weight: list[Any], eps: float) -> Batch:
    return [[rows.rms_norm(row, weight, eps) for row in sequence] for sequence in x]


def rms_norm_gradients(ct: Batch, x: Batch, weight: list[Any], eps: float) -> Gradients:
    pairs = [
        [rows.rms_norm_gradient(c, row, weight, eps) for c, row in zip(cs, sequence, strict=True)]
        for cs, sequence in zip(ct, x, strict=True)
    ]
    shares = [share for sequence in pairs for _, share in sequence]
    return {
        "x": [[dx for dx, _ in sequence] for sequence in pairs],
        "weight": [total([share[i] for share in shares]) for i in range(len(weight))],
    }


# Linear -----------------------------------------------------------------------


def linear(x: Batch, weight: list[Any], bias: list[Any] | None) -> Batch:
    """y_o = Σ_i weight_oi x_i + bias_o."""
    offsets = [0] * len(weight) if bias is None else bias
    return [
        [[dot(w, row) + b for w, b in zip(weight, offsets, strict=True)] for row in sequence]
        for sequence in x
    ]


def linear_gradients(ct: Batch, x: Batch, weight: list[Any]) -> Gradients:
    """dx_i = Σ_o weight_oi ct_o, dweight_oi = Σ_bt ct_o x_i, dbias_o = Σ_bt ct_o."""
    cts, xs = _all_rows(ct), _all_rows(x)
    columns = list(range(len(weight[0])))
    return {
        "x": [[[dot([w[i] for w in weight], c) for i in columns] for c in cs] for cs in ct],
        "weight": [
            [dot([c[o] for c in cts], [row[i] for row in xs]) for i in columns]
            for o in range(len(weight))
        ],
        "bias": [total([c[o] for c in cts]) for o in range(len(weight))],
    }


def token(x: Batch, t: int) -> Batch:
    """Token t alone, of every sequence."""
    return [[sequence[t]] for sequence in x]


def per_token_linear(x: Batch, weight: list[Any], bias: list[Any] | None) -> Batch:
    """Token t goes through a linear layer of its own: weight[t][out][in], bias[t][out]."""
    own = [
        linear(token(x, t), one, None if bias is None else bias[t]) for t, one in enumerate(weight)
    ]
    return [[y[b][0] for y in own] for b in range(len(x))]


def per_token_linear_gradients(ct: Batch, x: Batch, weight: list[Any]) -> Gradients:
    own = [linear_gradients(token(ct, t), token(x, t), one) for t, one in enumerate(weight)]
    return {
        "x": [[found["x"][b][0] for found in own] for b in range(len(x))],
        "weight": [found["weight"] for found in own],
        "bias": [found["bias"] for found in own],
    }


# Embedding --------------------------------------------------------------------


def embedding(ids: list[list[int]], weight: list[Any]) -> Batch:
    return [[list(weight[one]) for one in sequence] for sequence in ids]


def embedding_gradient(ct: Batch, ids: list[list[int]], weight: list[Any]) -> list[Any]:
    """Row v gets the cotangents of every place that looked it up."""
    return [
        [
            total(
                [mp.mpf(0)]
                + [
                    ct[b][t][i]
                    for b, sequence in enumerate(ids)
                    for t, one in enumerate(sequence)
                    if one == v
                ]
            )
            for i in range(len(row))
        ]
        for v, row in enumerate(weight)
    ]


# Mixing -----------------------------------------------------------------------


def place(t: int, h: int, num_tokens: int, num_heads: int, mixing: str) -> tuple[int, int]:
    """Where chunk h of token t goes: to number h T + t of the chunks, counted H to a token.

    The guide permutes back before it merges, and every chunk stays.
    """
    return (t, h) if mixing == "guide" else divmod(h * num_tokens + t, num_heads)


def token_mix(x: Batch, num_heads: int, mixing: str) -> Batch:
    count, width = len(x[0]), len(x[0][0]) // num_heads
    y: Batch = [[[None] * len(row) for row in sequence] for sequence in x]
    for b, sequence in enumerate(x):
        for t, row in enumerate(sequence):
            for i, value in enumerate(row):
                s, g = place(t, i // width, count, num_heads, mixing)
                y[b][s][g * width + i % width] = value
    return y


def token_mix_gradient(ct: Batch, num_heads: int, mixing: str) -> Batch:
    """∂y/∂x is a permutation: the cotangent comes back from where the value went."""
    count, width = len(ct[0]), len(ct[0][0]) // num_heads

    def origin(c: Batch, t: int, i: int) -> Any:
        s, g = place(t, i // width, count, num_heads, mixing)
        return c[s][g * width + i % width]

    return [[[origin(c, t, i) for i in range(len(c[0]))] for t in range(count)] for c in ct]


def chunk_mixing(x: Batch, weight: list[Any]) -> Batch:
    """y_t^h = Σ_s W_ts^h x_s^h, with weight[h][t][s]."""
    width = len(x[0][0]) // len(weight)
    return [
        [
            [
                dot(weight[i // width][t], [row[i] for row in sequence])
                for i in range(len(sequence[0]))
            ]
            for t in range(len(sequence))
        ]
        for sequence in x
    ]


def chunk_mixing_gradients(ct: Batch, x: Batch, weight: list[Any]) -> Gradients:
    tokens, width = range(len(x[0])), len(x[0][0]) // len(weight)
    back = [[[one[t][s] for t in tokens] for s in tokens] for one in weight]  # transposed
    return {
        "x": chunk_mixing(ct, back),
        "weight": [
            [
                [
                    total(
                        [
                            c[t][i] * sequence[s][i]
                            for c, sequence in zip(ct, x, strict=True)
                            for i in range(h * width, (h + 1) * width)
                        ]
                    )
                    for s in tokens
                ]
                for t in tokens
            ]
            for h in range(len(weight))
        ],
    }


def transposed(matrix: list[Any]) -> list[Any]:
    return [list(column) for column in zip(*matrix, strict=True)]


def _divided(matrix: list[Any]) -> tuple[list[Any], list[Any]]:
    """Every row divided by its sum, and the sums."""
    sums = [total(row) for row in matrix]
    return [[one / s for one in row] for row, s in zip(matrix, sums, strict=True)], sums


def _divided_gradient(ct: list[Any], quotients: list[Any], sums: list[Any]) -> list[Any]:
    """y_j = k_j / Σ k, so dk_j = (ct_j - Σ_i ct_i y_i) / Σ k."""
    means = [dot(c, y) for c, y in zip(ct, quotients, strict=True)]
    return [[(one - m) / s for one in c] for c, m, s in zip(ct, means, sums, strict=True)]


def sinkhorn(weight: list[Any], temperature: float, steps: int) -> list[Any]:
    """exp((A + Aᵀ) / 2τ), its rows divided by their sums, then its columns, over and over.

    Returns the matrix at first and after each division, with the sums that it was divided by.
    """
    pairs = zip(weight, transposed(weight), strict=True)
    scale = 2 * mp.mpf(temperature)
    logits = [[(a + b) / scale for a, b in zip(*pair, strict=True)] for pair in pairs]
    states = [([[through(mp.exp, one, 1) for one in row] for row in logits], [])]
    for _ in range(steps):
        states.append(_divided(states[-1][0]))
        columns, sums = _divided(transposed(states[-1][0]))
        states.append((transposed(columns), sums))
    return states


def sinkhorn_mixing(x: Batch, weight: list[Any], temperature: float, steps: int) -> Batch:
    """The N chunks of a sequence, mixed by the matrix."""
    matrix = sinkhorn(weight, temperature, steps)[-1][0]
    return [_by_chunks(sequence, matrix) for sequence in x]


def _by_chunks(sequence: list[Any], matrix: list[Any]) -> list[Any]:
    """y_n = Σ_m M_nm x_m, for chunks of a sequence that is read from its first number on."""
    numbers, row = sum(sequence, []), len(sequence[0])
    width = len(numbers) // len(matrix)
    mixed = [dot(one, numbers[i::width]) for one in matrix for i in range(width)]
    return [mixed[i : i + row] for i in range(0, len(mixed), row)]


def sinkhorn_mixing_gradients(
    ct: Batch, x: Batch, weight: list[Any], temperature: float, steps: int
) -> Gradients:
    states = sinkhorn(weight, temperature, steps)
    matrix, size = states[-1][0], range(len(weight))
    width = len(x[0]) * len(x[0][0]) // len(weight)
    flat = [(sum(c, []), sum(sequence, [])) for c, sequence in zip(ct, x, strict=True)]
    found = [
        [
            total([c[n * width + i] * v[m * width + i] for c, v in flat for i in range(width)])
            for m in size
        ]
        for n in size
    ]
    for number in range(2 * steps, 0, -1):
        quotients, sums = states[number]
        if number % 2 == 0:  # of columns
            found = transposed(_divided_gradient(transposed(found), transposed(quotients), sums))
        else:
            found = _divided_gradient(found, quotients, sums)
    slopes = times(found, states[0][0])
    scale = 2 * mp.mpf(temperature)
    return {
        "x": [_by_chunks(c, transposed(matrix)) for c in ct],
        "weight": [[(slopes[n][m] + slopes[m][n]) / scale for m in size] for n in size],
    }


# Attention --------------------------------------------------------------------


def _scores(query: Batch, key: Batch) -> Batch:
    """s_tu = Σ_i q_ti k_ui / √d."""
    root = mp.sqrt(len(query[0][0]))
    return [[[dot(q, k) / root for k in ks] for q in qs] for qs, ks in zip(query, key, strict=True)]


def attention(query: Batch, key: Batch, value: Batch) -> Batch:
    """y_ti = Σ_u softmax(s_t)_u v_ui."""
    shares = [[rows.softmax(row) for row in s] for s in _scores(query, key)]
    return [
        [[dot(p, [v[i] for v in vs]) for i in range(len(vs[0]))] for p in ps]
        for ps, vs in zip(shares, value, strict=True)
    ]


def attention_gradients(ct: Batch, query: Batch, key: Batch, value: Batch) -> Gradients:
    found: Gradients = {"query": [], "key": [], "value": []}
    for c, q, k, v, s in zip(ct, query, key, value, _scores(query, key), strict=True):
        root = mp.sqrt(len(q[0]))
        p = [rows.softmax(row) for row in s]
        dp = [[dot(one, other) for other in v] for one in c]
        ds = [rows.softmax_gradient(*pair) for pair in zip(dp, s, strict=True)]
        found["query"].append(
            [[dot(d, [u[i] for u in k]) / root for i in range(len(k[0]))] for d in ds]
        )
        found["key"].append(
            [
                [dot([d[u] for d in ds], [t[i] for t in q]) / root for i in range(len(q[0]))]
                for u in range(len(k))
            ]
        )
        found["value"].append(
            [
                [dot([one[u] for one in p], [t[i] for t in c]) for i in range(len(c[0]))]
                for u in range(len(v))
            ]
        )
    return found
