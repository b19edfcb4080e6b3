"""Where a failing backend goes wrong, and from which size on."""

import numpy as np
import pytest

from numixology.verify.conformance import BUGS, Textbook, diagnose, make_case, whereabouts
from numixology.verify.conformance.bounds import Judged, prepare, prepared
from numixology.verify.conformance.whereabouts import (
    Trials,
    axes_of,
    edges_of,
    place_of,
)


def said(stage, sizes, at, tensor="output"):
    """What is said where some entries of a tensor are off by one."""
    (one,) = prepare([make_case(stage, "plain", 0, "float32", sizes)], "float32")
    got = one.truth.tensors[tensor].copy()
    got[at] += 1
    return place_of(Judged(one, tensor, got))


every = slice(None)


@pytest.mark.parametrize(
    ("at", "place"),
    [
        ((every, every, 32), "wrong in 32 of 1,056 numbers: the last column (32)"),
        ((every, every, 7), "wrong in 32 of 1,056 numbers: column 7"),
        (
            (every, every, slice(30, 33)),
            "96 of 1,056 numbers: columns 30 to 32 of 33",
        ),
        ((every, every, slice(0, 2)), "64 of 1,056 numbers: columns 0 to 1 of 33"),
        ((every, every, slice(4, 9)), "160 of 1,056 numbers: columns 4 to 8 of 33"),
        ((every, every, slice(3, None, 4)), "256 of 1,056 numbers: every 4th column from 3 on"),
        ((every, every, [1, 2, 9]), "96 of 1,056 numbers: 3 of 33 columns, the first being 1"),
        ((every, 0), "132 of 1,056 numbers: token 0"),
        ((0,), "264 of 1,056 numbers: batch entry 0"),
        ((slice(1, None),), "792 of 1,056 numbers: batch entries 1 to 3 of 4"),
        ((0, 3, 5), "1 of 1,056 numbers: column 5 of token 3 of batch entry 0"),
        ((every,), "everywhere"),
    ],
)
def test_the_rows_and_columns(at, place) -> None:
    assert said("layer_norm", {"B": 4, "T": 8, "D": 33}, at).endswith(place)


def test_rows_that_run_over_batch_entries() -> None:
    sizes = {"B": 4, "T": 8, "D": 3}
    (one,) = prepare([make_case("gelu", "plain", 0, "float32", sizes)], "float32")
    got = one.truth.output.copy()
    got.reshape(32, 3)[13:] += 1
    assert place_of(Judged(one, "output", got)) == (
        "the output is wrong in 57 of 96 numbers: rows 13 to 31 of 32"
    )
    got = one.truth.output.copy()
    got.reshape(-1)[70:] += 1
    assert place_of(Judged(one, "output", got)) == (
        "the output is wrong in 26 of 96 numbers: numbers 70 to 95 of 96"
    )
    got = one.truth.output.copy()
    got[0, 1, 2] = got[2, 3, 1] = got[3, 3, 0] = np.nan
    assert place_of(Judged(one, "output", got)).startswith(
        "the output is wrong in 3 of 96 numbers: "
    )


def test_heads_and_ids_and_rows_of_a_matrix() -> None:
    sizes = {"B": 2, "T": 4, "D": 12, "H": 4}
    assert said("token_mix", sizes, (every, every, slice(3, 6))).endswith(": head 1")
    assert said("token_mix", sizes, (every, every, slice(2, 5))).endswith(": columns 2 to 4 of 12")
    assert said("embedding", {"V": 300}, (slice(256, None),), "weight") == (
        f"the gradient of weight is wrong in {44 * 10} of 3,000 numbers: ids 256 to 299 of 300"
    )
    assert said("linear", {"D": 5, "F": 9}, (8,), "weight").endswith("the last row (8)")
    assert said("linear", {"D": 5, "F": 9}, (2,), "bias").endswith(": entry 2")


def test_the_axes_of_a_tensor() -> None:
    case = make_case("model")
    assert axes_of(case, "output") == "BTD"
    assert axes_of(case, "blocks.1.ffn.linear1.weight") == "FD"


# Sizes ------------------------------------------------------------------------------------


def shrunk(backend, case):
    found = Trials(backend, case)
    assert found.shrink()
    return found


def tile(backend, case):
    found = Trials(backend, case)
    found.tile()
    return found.edges, found.said


class Planted(Textbook):
    """The textbook, whose results are spoiled."""

    def __init__(self, spoil, dtype="float32", **also) -> None:
        super().__init__(dtype)
        self.spoil = spoil
        self.__dict__.update(also)

    def forward(self, stage, inputs):
        y = super().forward(stage, inputs)
        self.spoil(self, inputs, None, {"output": y})
        return y

    def vjp(self, stage, inputs, cotangent):
        found = {name: one.copy() for name, one in super().vjp(stage, inputs, cotangent).items()}
        self.spoil(self, inputs, cotangent, found)
        return found


def rows(y):
    return y.reshape(-1, y.shape[-1])


def columns_beyond_1024(backend, inputs, ct, results):
    if ct is None:
        results["output"][..., 1024:] = 0


def rows_beyond_64(backend, inputs, ct, results):
    if ct is None:
        rows(results["output"])[64:] = 0


def numbers_beyond_whole_256(backend, inputs, ct, results):
    if ct is None and results["output"].size > 256:
        y = results["output"].reshape(-1)
        y[y.size // 256 * 256 :] = 0


def batch_entries_beyond_8(backend, inputs, ct, results):
    if ct is None:
        results["output"][8:] = 0


def rows_beyond_64_not_in_gradients(backend, inputs, ct, results):
    B, T, _ = inputs["x"].shape
    if ct is not None and B * T > 64:
        part = {**inputs, "x": rows(inputs["x"])[None, :64]}
        results |= Textbook("float32").vjp("layer_norm", part, rows(ct)[None, :64]) | {
            "x": results["x"]
        }


def whole_tiles_of_32(backend, inputs, ct, results):
    k = inputs["x"].shape[-1] // 32 * 32
    if ct is None:
        x, weight = inputs["x"][..., :k], inputs["weight"][:, :k]
        results["output"][...] = x @ weight.T + inputs["bias"]


def wrong_only_at_33(backend, inputs, ct, results):
    if ct is None and inputs["x"].shape[-1] == 33:
        results["output"][...] += 1


def weights_beyond_300(backend, inputs, ct, results):
    weight = inputs["weight"].copy()
    weight.reshape(-1)[300:] = 0
    right = Textbook("float32")
    results |= (
        {"output": right.forward("linear", {**inputs, "weight": weight})}
        if ct is None
        else right.vjp("linear", {**inputs, "weight": weight}, ct)
    )
    if ct is not None:
        results["weight"].reshape(-1)[300:] = 0


def more_than_two_blocks(backend, inputs, ct, results):
    if ct is None and "blocks.2.mixer.norm.weight" in inputs:
        results["output"][...] = 0


@pytest.mark.parametrize(
    ("stage", "spoil", "sizes", "edges", "said", "smallest"),
    [
        (
            "layer_norm",
            columns_beyond_1024,
            {"B": 3, "T": 5, "D": 2049},
            [("D", 1024)],
            "right up to D = 1,024, wrong from D = 1,025 on",
            {"B": 1, "T": 1, "D": 1025},
        ),
        (
            "layer_norm",
            rows_beyond_64,
            {"B": 13, "T": 5, "D": 9},
            [("BT", 64)],
            "right up to 64 rows (B·T), wrong from 65 rows (B·T) on",
            {"B": 65, "T": 1, "D": 1},
        ),
        (
            "gelu",
            numbers_beyond_whole_256,
            {"B": 7, "T": 5, "D": 10},
            [("BTD", 256)],
            "right up to 256 numbers (B·T·D), wrong from 257 numbers (B·T·D) on",
            {"B": 257, "T": 1, "D": 1},
        ),
        (
            "softmax",
            batch_entries_beyond_8,
            {"B": 12, "T": 5, "D": 3},
            [("B", 8)],
            "right up to B = 8, wrong from B = 9 on",
            {"B": 9, "T": 1, "D": 1},
        ),
        (
            "layer_norm",
            wrong_only_at_33,
            {"B": 2, "T": 2, "D": 33},
            [("D", 32)],
            "right up to D = 32, wrong at some sizes from D = 33 on",
            {"B": 1, "T": 1, "D": 33},
        ),
        (
            "model",
            more_than_two_blocks,
            {"B": 2, "T": 2, "D": 4, "H": 2, "F": 3, "V": 5, "L": 4},
            [("L", 2)],
            "right up to L = 2, wrong from L = 3 on",
            {"B": 1, "T": 1, "D": 1, "H": 1, "F": 1, "V": 2, "L": 3},
        ),
        (
            "linear",
            weights_beyond_300,
            {"B": 2, "T": 3, "D": 20, "F": 30},
            [("FD", 300)],
            "right up to 300 weights (F·D), wrong from 301 weights (F·D) on",
            {"B": 1, "T": 1, "D": 1, "F": 301},
        ),
        ("linear", whole_tiles_of_32, {"D": 70, "F": 3}, [], "", {"B": 1, "T": 1, "D": 1, "F": 1}),
    ],
)
def test_sizes_shrink_to_where_the_failure_begins(stage, spoil, sizes, edges, said, smallest):
    case = make_case(stage, "plain", 0, "float32", sizes)
    found = shrunk(Planted(spoil), case)
    assert (found.edges, found.said) == (edges, said)
    assert found.sizes == smallest
    first, *further = found.telling
    assert first == smallest
    assert len(further) == bool(edges) + (" on" in said and "some sizes" not in said)


def test_what_depends_on_the_numbers_begins_at_no_size() -> None:
    def cut_off(backend, inputs, ct, results):
        if ct is None:
            results["output"][np.abs(inputs["x"]) > 2.2] = 0

    case = make_case("gelu", "plain", 3, "float32", {"B": 5, "T": 5, "D": 10})
    found = shrunk(Planted(cut_off), case)
    assert found.sizes["B"] * found.sizes["T"] * found.sizes["D"] > 5
    assert (found.edges, found.said) == ([], "")


def test_one_size_that_is_wrong_for_some_numbers_alone_is_no_edge() -> None:
    def wrong_at_33(backend, inputs, ct, results):
        x = inputs["x"]
        if ct is None and x.shape[-1] == 33 and x.flat[0] > 0:
            results["output"][...] += 1

    seeds = (s for s in range(99) if make_case("gelu", "plain", s).inputs["x"].flat[0] > 0)
    case = make_case("gelu", "plain", next(seeds), "float32", {"B": 1, "T": 1, "D": 33})
    found = shrunk(Planted(wrong_at_33), case)
    assert (found.sizes["D"], found.edges) == (33, [])


def test_what_is_right_at_some_sizes_beyond_the_first_is_said_to_be() -> None:
    def odd_beyond_32(backend, inputs, ct, results):
        if ct is None and inputs["x"].shape[-1] > 32 and inputs["x"].shape[-1] % 2:
            results["output"][...] += 1

    case = make_case("gelu", "plain", 0, "float32", {"B": 1, "T": 1, "D": 101})
    found = shrunk(Planted(odd_beyond_32), case)
    assert found.said == "right up to D = 32, wrong at some sizes from D = 33 on"


def test_what_a_backend_requires_is_obeyed() -> None:
    asked = []

    def noted(backend, inputs, ct, results):
        asked.append(inputs["x"].shape)
        columns_beyond_1024(backend, inputs, ct, results)

    case = make_case("layer_norm", "plain", 0, "float32", {"B": 2, "T": 16, "D": 2048})
    found = shrunk(Planted(noted, requires={"D": 64, "T": ">=16"}), case)
    assert found.edges == [("D", 1024)]
    assert found.said == "right up to D = 1,024, wrong from D = 1,088 on"
    assert all(shape[1] >= 16 and shape[2] % 64 == 0 for shape in asked)
    assert len(asked) < 100


def test_the_last_part_of_a_tile_is_found_though_whole_tiles_are_right() -> None:
    def last_tile_of_128(backend, inputs, ct, results):
        n = inputs["x"].shape[-1]
        if ct is None and n > 128 and n % 128:
            results["output"][..., n // 128 * 128 :] = 0

    case = make_case("gelu", "plain", 0, "float32", {"B": 1, "T": 3, "D": 1023})
    found = shrunk(Planted(last_tile_of_128), case)
    assert found.said == "right up to D = 128 and at its multiples, wrong from D = 129 on"


def test_a_backend_that_is_right_has_no_smallest_shape() -> None:
    assert not Trials(Textbook("float32"), make_case("gelu", "plain", 0, "float32")).shrink()


def test_no_more_than_so_many_cases_are_tried(monkeypatch) -> None:
    monkeypatch.setattr(whereabouts, "_TRIALS", 2)
    case = make_case("layer_norm", "plain", 0, "float32", {"B": 3, "T": 5, "D": 2049})
    found = shrunk(Planted(columns_beyond_1024), case)
    assert found.sizes["D"] == 2049


def test_rounding_where_a_size_is_one_is_no_sign_of_the_bug() -> None:
    def rounds_at_one(backend, inputs, ct, results):
        if ct is None:
            n = inputs["x"].shape[-1]
            results["output"] *= np.float32(1 + 1e-5 * (n == 1) + 0.5 * (n > 32))

    case = make_case("gelu", "plain", 0, "float32", {"B": 2, "T": 3, "D": 100})
    assert shrunk(Planted(rounds_at_one), case).said == "right up to D = 32, wrong from D = 33 on"


def test_multiples_of_a_tile() -> None:
    case = make_case("linear", "plain", 0, "float32", {"B": 1, "T": 1, "D": 1, "F": 1})
    assert tile(Planted(whole_tiles_of_32), case) == (
        [("D", 32)],
        "right where D is a multiple of 32, wrong elsewhere",
    )
    case = make_case("gelu", dtype="float32", sizes={"B": 1, "T": 1, "D": 1})
    assert tile(BUGS["quick-gelu"].make("float32"), case) == ([], "")


def test_one_size_that_is_wrong_by_itself_is_no_tile() -> None:
    def wrong_at_one(backend, inputs, ct, results):
        if ct is None and inputs["x"].shape[-1] == 1:
            results["output"][...] += 1

    case = make_case("gelu", "plain", 0, "float32", {"B": 1, "T": 1, "D": 1})
    assert tile(Planted(wrong_at_one), case) == ([], "")


def test_a_known_bug_that_shows_before_the_edge_is_not_named() -> None:
    class Ids(Textbook):
        def embedding(self, ids, weight):
            return super().embedding(ids % 4096, weight)

    cases = prepared("float32", "float32", ["embedding"], 1)
    sizes = {"B": 2, "T": 2, "D": 2, "V": 4097}
    cases += prepare([make_case("embedding", "plain", 0, "float32", sizes)], "float32")
    found = diagnose(Ids("float32"), cases)
    assert found.edge == "right up to V = 4,096, wrong from V = 4,097 on"
    assert "ids-from-4096" in found.bug or "ids-beyond-tiles-of-4096" in found.bug


def test_what_is_right_by_chance_is_no_tile() -> None:
    def by_chance(backend, inputs, ct, results):
        n = inputs["x"].shape[-1]
        if ct is None and n not in (8, 16, 24, 33, 128):
            results["output"][...] += n not in (17, 23)

    case = make_case("gelu", "plain", 0, "float32", {"B": 1, "T": 1, "D": 1})
    assert tile(Planted(by_chance), case) == ([], "")


def test_a_product_of_sizes_is_no_bug_that_a_few_numbers_look_like() -> None:
    class Offsets(Textbook):
        """A row begins at id · D, in 16 bits."""

        def embedding(self, ids, weight):
            places = (ids * weight.shape[1] % 2**16)[..., None] + np.arange(weight.shape[1])
            return weight.reshape(-1)[places]

    cases = prepared("float32", "float32", ["embedding"], 1)
    sizes = {"B": 5, "T": 4, "D": 6, "V": 65537}
    cases += prepare([make_case("embedding", "kernel", 0, "float32", sizes)], "float32")
    found = diagnose(Offsets("float32"), cases)
    assert found.edge.startswith("right up to 65,536 numbers of the table (V·D), wrong from ")
    assert found.bug.startswith("numbers-of-the-table-")
    assert found.bug.endswith("-wrapped")


def test_a_size_that_is_right_by_itself_is_no_tile() -> None:
    def right_at_128(backend, inputs, ct, results):
        if ct is None and inputs["x"].shape[-1] != 128:
            results["output"][...] += 1

    case = make_case("gelu", "plain", 0, "float32", {"B": 1, "T": 1, "D": 1})
    assert tile(Planted(right_at_128), case) == ([], "")


@pytest.mark.parametrize(
    ("stage", "spoil", "sizes", "bug", "edge"),
    [
        (
            "layer_norm",
            columns_beyond_1024,
            {"B": 3, "T": 5, "D": 1025},
            "columns-from-1024-zero",
            "right up to D = 1,024, wrong from D = 1,025 on",
        ),
        (
            "layer_norm",
            rows_beyond_64_not_in_gradients,
            {"B": 13, "T": 5, "D": 9},
            "rows-from-64-not-in-gradients-of-parameters",
            "right up to 64 rows (B·T), wrong from 65 rows (B·T) on",
        ),
        (
            "gelu",
            numbers_beyond_whole_256,
            {"B": 7, "T": 9, "D": 10},
            "numbers-beyond-tiles-of-256-zero",
            "right up to 256 numbers (B·T·D), wrong from 257 numbers (B·T·D) on",
        ),
        (
            "linear",
            whole_tiles_of_32,
            {"B": 2, "T": 3, "D": 64, "F": 5},
            "columns-beyond-tiles-of-32-weight-zero",
            "right where D is a multiple of 32, wrong elsewhere",
        ),
        (
            "layer_norm",
            columns_beyond_1024,
            {"B": 7, "T": 3, "D": 1040},
            "columns-from-1024-zero",
            "right up to D = 1,024, wrong from D = 1,025 on",
        ),
        (
            "linear",
            weights_beyond_300,
            {"B": 2, "T": 3, "D": 20, "F": 30},
            "weights-from-300-weight-zero",
            "right up to 300 weights (F·D), wrong from 301 weights (F·D) on",
        ),
    ],
)
def test_a_bug_of_size_is_named_with_its_edge(stage, spoil, sizes, bug, edge) -> None:
    cases = prepared("float32", "float32", [stage], 1)
    cases += prepare([make_case(stage, "plain", 0, "float32", sizes)], "float32")
    found = diagnose(Planted(spoil), cases)
    assert (found.bug, found.edge) == (bug, edge)
    assert found.distance < 1e-3
    assert found.places[-1].startswith("the smallest shape that fails is B=")


def test_the_edges_that_show_in_an_array() -> None:
    (one,) = prepare(
        [make_case("gelu", "plain", 0, "float32", {"B": 3, "T": 4, "D": 5})], "float32"
    )
    got = one.truth.output.copy()
    got[:, :, 3:] += 1
    assert edges_of(Judged(one, "output", got)) == [("D", 3)]
    got = one.truth.output.copy()
    rows(got)[7:] += 1
    assert edges_of(Judged(one, "output", got)) == [("BT", 7), ("BTD", 35)]
    got[0, 0, 0] += 1
    assert edges_of(Judged(one, "output", got)) == []
