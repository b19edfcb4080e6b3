"""Losses."""

import mpmath as mp
import numpy as np
import pytest
from oracle.derivatives import assert_matches_complex_step, assert_same_derivatives, tape

import numixology as nx
from numixology import functional as F
from numixology.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError

RNG = np.random.default_rng(13)
LOGITS = 3 * RNG.normal(size=(2, 3, 4))
CLASSES = RNG.integers(0, 4, (2, 3))
LABELS = RNG.uniform(0, 1, (2, 3, 4))
bce = F.binary_cross_entropy_with_logits

ELEMENTWISE = {
    "mse": (F.mse_loss, lambda x, t: (x - t) ** 2),
    "bce": (
        bce,
        lambda x, t: t * mp.log1p(mp.exp(-x)) + (1 - t) * mp.log1p(mp.exp(x)),
    ),
}
elementwise = pytest.mark.parametrize(("loss", "truth"), ELEMENTWISE.values(), ids=ELEMENTWISE)
REDUCTIONS = {"mean": np.mean, "sum": np.sum, "none": lambda x: x}
reductions = pytest.mark.parametrize("reduction", REDUCTIONS)


def surprise(logits, target):
    with mp.workdps(40):
        out = np.empty(target.shape)
        for index in np.ndindex(target.shape):
            row = [mp.mpf(float(v)) for v in logits[index]]
            out[index] = float(mp.log(mp.fsum(map(mp.exp, row))) - row[target[index]])
    return out


class TestCrossEntropy:
    @reductions
    def test_values(self, reduction):
        got = F.cross_entropy(LOGITS, CLASSES, reduction=reduction)
        np.testing.assert_allclose(
            got, REDUCTIONS[reduction](surprise(LOGITS, CLASSES)), rtol=1e-14
        )

    def test_the_mean_is_the_default(self):
        got = F.cross_entropy(LOGITS, CLASSES)
        np.testing.assert_allclose(got, surprise(LOGITS, CLASSES).mean(), rtol=1e-14)

    @reductions
    def test_gradients(self, reduction):
        assert_matches_complex_step(lambda x: F.cross_entropy(x, CLASSES, reduction), LOGITS)

    def test_the_gradient_is_softmax_less_the_target(self):
        (gradient,) = tape(lambda x: F.cross_entropy(x, CLASSES, "sum"), [LOGITS], np.array(1.0))
        np.testing.assert_allclose(gradient, F.softmax(LOGITS) - np.eye(4)[CLASSES], atol=1e-15)

    def test_composition_to_third_order(self):
        hot = np.eye(4)[CLASSES]
        assert_same_derivatives(
            lambda x: F.cross_entropy(x, CLASSES),
            lambda x: (F.log(F.exp(x).sum(axis=-1)) - (x * hot).sum(axis=-1)).mean(),
            LOGITS,
        )

    def test_one_row_and_one_class(self):
        np.testing.assert_allclose(F.cross_entropy(np.array([0.0, np.log(3)]), 1), np.log(4 / 3))
        assert F.cross_entropy(np.array([[5.0]]), [0]) == 0.0

    def test_far_logits_stay_finite(self):
        got = F.cross_entropy(np.array([[1e4, 0.0], [0.0, 1e4]]), [1, 1], reduction="none")
        np.testing.assert_array_equal(got, [1e4, 0.0])

    @pytest.mark.parametrize("target", [nx.tensor([1, 0]), np.array([1, 0], "uint8"), (1, 0)])
    def test_targets_of_many_kinds(self, target):
        logits = np.array([[0.0, 1.0], [0.0, 1.0]])
        np.testing.assert_allclose(
            F.cross_entropy(logits, target, "none"), [np.log1p(np.exp(-1)), np.log1p(np.exp(1))]
        )

    @reductions
    def test_no_rows(self, reduction):
        """The mean of nothing is NaN, silently, as in torch; the sum is 0."""
        for kind in (np.asarray, nx.tensor):
            got = F.cross_entropy(kind(np.zeros((0, 3))), np.zeros(0, int), reduction)
            want = {"mean": np.nan, "sum": 0.0, "none": np.zeros(0)}[reduction]
            np.testing.assert_array_equal(np.asarray(got), want)
        assert F.cross_entropy(np.zeros((0, 3)), [], "sum") == 0.0

    def test_float32_stays_float32(self):
        x = nx.tensor(LOGITS, dtype="float32", requires_grad=True)
        loss = F.cross_entropy(x, CLASSES)
        assert loss.dtype == np.float32
        assert nx.grad(loss, x)[0].dtype == np.float32

    @pytest.mark.parametrize("target", [[0.0, 1.0], [True, False]])
    def test_targets_that_are_no_integers(self, target):
        with pytest.raises(DTypeError, match="target classes are integers: got .*; convert with"):
            F.cross_entropy(np.zeros((2, 3)), target)

    @pytest.mark.parametrize(
        ("logits", "target"), [((), ()), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 3, 4), (2, 4))]
    )
    def test_shapes_that_do_not_fit(self, logits, target):
        with pytest.raises(ShapeError) as caught:
            F.cross_entropy(np.zeros(logits), np.zeros(target, int))
        assert str(caught.value) == (
            f"cross_entropy takes logits (..., C) and target (...): got {logits} and {target}; "
            "put the classes on the last axis"
        )

    @pytest.mark.parametrize(
        ("target", "first"), [([0, 3], r"3 at \(1,\)"), ([-1, 2], r"-1 at \(0,\)")]
    )
    def test_targets_outside_the_classes(self, target, first):
        with pytest.raises(IndexRangeError, match=f"target classes lie from 0 to 2: got {first};"):
            F.cross_entropy(np.zeros((2, 3)), target)


@elementwise
class TestElementwise:
    @reductions
    def test_values(self, loss, truth, reduction):
        with mp.workdps(40):
            want = np.vectorize(lambda x, t: float(truth(mp.mpf(x), mp.mpf(t))))(LOGITS, LABELS)
        got = loss(LOGITS, LABELS, reduction=reduction)
        np.testing.assert_allclose(got, REDUCTIONS[reduction](want), rtol=1e-14)

    def test_the_mean_is_the_default(self, loss, truth):
        np.testing.assert_allclose(loss(LOGITS, LABELS), loss(LOGITS, LABELS, "none").mean())

    @reductions
    def test_gradients_of_both_arguments(self, loss, truth, reduction):
        assert_matches_complex_step(lambda x, t: loss(x, t, reduction), LOGITS, LABELS)

    @pytest.mark.parametrize("labels", [[1, 0, 1], [True, False, True]])
    def test_whole_labels(self, loss, truth, labels):
        x = np.array([0.5, -1.0, 2.0], np.float32)
        for target in (labels, np.array(labels), nx.tensor(labels)):
            got = np.asarray(loss(x, target, "none"))
            assert got.dtype == np.float32
            np.testing.assert_array_equal(got, loss(x, np.array(labels, np.float32), "none"))

    def test_float32_stays_float32(self, loss, truth):
        x = nx.tensor(LOGITS, dtype="float32", requires_grad=True)
        value = loss(x, LABELS.astype(np.float32))
        assert value.dtype == np.float32
        assert nx.grad(value, x)[0].dtype == np.float32

    @pytest.mark.parametrize("target", [(3,), (1, 3), (2, 1), ()])
    def test_shapes_that_differ(self, loss, truth, target):
        with pytest.raises(ShapeError, match=r"compares equal shapes: got \(2, 3\) and"):
            loss(np.zeros((2, 3)), np.zeros(target))

    def test_nothing_at_all(self, loss, truth):
        for kind in (np.asarray, nx.tensor):
            assert np.isnan(np.asarray(loss(kind(np.zeros(0)), np.zeros(0))))
            assert np.asarray(loss(kind(np.zeros(0)), np.zeros(0), "sum")) == 0

    def test_nan_and_infinity_propagate_without_a_warning(self, loss, truth):
        for kind in (np.asarray, nx.tensor):
            x = kind(np.array([np.nan, np.inf, np.inf, 0.0]))
            got = np.asarray(loss(x, np.array([0.0, np.inf, 0.0, 0.0]), "none"))
            assert np.isnan(got[:2]).all()
            assert got[2] == np.inf or np.isnan(got[2])
            assert np.isfinite(got[3])


def test_bce_to_third_order():
    assert_same_derivatives(
        bce,
        lambda x, t: -(t * F.log(F.sigmoid(x)) + (1 - t) * F.log(1 - F.sigmoid(x))).mean(),
        LOGITS[0],
        LABELS[0],
    )


def test_mse_to_third_order():
    assert_same_derivatives(F.mse_loss, lambda x, t: F.square(x - t).mean(), LOGITS[0], LABELS[0])


def test_bce_stays_finite_and_accurate_far_out():
    x = np.array([800.0, -800.0, 800.0, -40.0])
    got = bce(x, np.array([1.0, 0.0, 0.0, 0.0]), "none")
    np.testing.assert_allclose(got, [0.0, 0.0, 800.0, np.exp(-40.0)], rtol=1e-14)


@pytest.mark.parametrize("wrap", [nx.tensor, np.asarray])
def test_bce_of_an_infinite_logit(wrap):
    """What is right costs nothing, and what is wrong costs infinitely much."""
    x, t = np.array([np.inf, -np.inf, np.inf, -np.inf]), np.array([1.0, 0.0, 0.0, 1.0])
    with np.errstate(all="raise"):
        got = np.asarray(bce(wrap(x), wrap(t), "none"))
        dx, dt = tape(lambda x, t: bce(x, t, "none"), [x, t], np.ones(4))
    np.testing.assert_array_equal(got, [0.0, 0.0, np.inf, np.inf])
    np.testing.assert_array_equal(dx, [0.0, 0.0, 1.0, -1.0])
    np.testing.assert_array_equal(dt, -x)


@pytest.mark.parametrize(
    ("loss", "target"),
    [(F.cross_entropy, CLASSES), (bce, LABELS), (F.mse_loss, LABELS)],
)
def test_a_target_that_changes_later_does_not_change_the_gradient(loss, target):
    x, target = nx.tensor(LOGITS, requires_grad=True), target.copy()
    (want,) = nx.grad(loss(x, target), x)
    value = loss(x, target)
    target[:] = 1 - target
    np.testing.assert_array_equal(nx.grad(value, x)[0].data, want.data)


@pytest.mark.parametrize("target", [[[0, 1], [0]], [[0.0], 1.0]])
@pytest.mark.parametrize("loss", [F.cross_entropy, bce, F.mse_loss])
def test_ragged_targets(loss, target):
    with pytest.raises(ShapeError, match=r"takes nested lists of equal lengths: got .*; pad or"):
        loss(np.zeros((2, 2)), target)


@pytest.mark.parametrize("loss", [F.cross_entropy, bce, F.mse_loss])
def test_outputs_that_are_lists(loss):
    with pytest.raises(DTypeError, match="takes arrays or tensors: got list"):
        loss([[0.0, 1.0]], [0])


@pytest.mark.parametrize(
    ("word", "instead"),
    [
        ("average", "use one of them"),
        (None, "did you mean 'none'?"),
        ("Mean", "did you mean 'mean'?"),
        (1, "use one of them"),
    ],
)
@pytest.mark.parametrize(
    "loss",
    [
        lambda r: F.cross_entropy(np.zeros((2, 3)), [0, 1], r),
        lambda r: bce(np.zeros(2), np.zeros(2), r),
        lambda r: F.mse_loss(np.zeros(2), np.zeros(2), r),
    ],
)
def test_unknown_reductions(loss, word, instead):
    with pytest.raises(ArgumentError) as caught:
        loss(word)
    assert str(caught.value) == f"reduction is 'mean', 'sum' or 'none': got {word!r}; {instead}"
    assert isinstance(caught.value, ValueError)
