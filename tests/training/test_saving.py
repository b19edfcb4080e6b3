"""Save and load: a training that goes on from a file is to the bit the one that never stopped."""

import json

import numpy as np
import pytest
from support import refused

import numixology as nx
from numixology.errors import ArgumentError, DTypeError, StateDictError
from numixology.training import TASKS, TaskModel, load, save, train

ENDS = (".npz", ".safetensors")
GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "SFC64", "Philox")


def parts(seed=0, dropout=0.25):
    rng = np.random.default_rng(seed)
    model = TaskModel(TASKS["cross"], dropout=dropout, rng=np.random.default_rng([seed, 1]))
    optimizer = nx.optim.AdamW(model.parameters(), lr=nx.optim.cosine(3e-3, 8))
    return {"model": model, "optimizer": optimizer, "rng": rng}


def trained(own, until):
    """Losses on batches that the Generator draws; the model's own draws dropout masks."""
    task, model = TASKS["cross"], own["model"]

    def loss():
        rows = own["rng"].integers(len(task.ids), size=32)
        return task._replace(ids=task.ids[rows], target=task.target[rows]).loss(model)

    return list(train(loss, own["optimizer"], until))


def state(own):
    return own["model"].state_dict() | own["optimizer"].state_dict()


def same(one, other):
    return all(np.array_equal(a, other[name], equal_nan=True) for name, a in one.items())


@pytest.mark.parametrize("end", ENDS)
def test_resuming_is_to_the_bit_going_on(tmp_path, end) -> None:
    whole, first, second = parts(), parts(), parts(seed=9)
    losses = trained(whole, 8)
    trained(first, 3)
    save(tmp_path / f"run{end}", **first)
    assert load(tmp_path / f"run{end}", **second) == {}
    assert trained(second, 8) == losses[3:]
    assert same(state(whole), state(second))
    assert second["rng"].bit_generator.state == whole["rng"].bit_generator.state


@pytest.mark.parametrize("kind", GENERATORS)
def test_every_kind_of_generator_goes_on(tmp_path, kind) -> None:
    rng, twin = (np.random.Generator(getattr(np.random, kind)(seed)) for seed in (3, 4))
    rng.integers(5, dtype=np.int32)  # half of a draw is kept
    save(tmp_path / "rng.npz", rng=rng)
    load(tmp_path / "rng.npz", rng=twin)
    for draw in ("random", "standard_normal"):
        assert np.array_equal(getattr(rng, draw)(9), getattr(twin, draw)(9))
    assert rng.integers(9, dtype=np.int32) == twin.integers(9, dtype=np.int32)


@pytest.mark.parametrize("end", ENDS)
def test_without_parts_all_arrays_come_back(tmp_path, end) -> None:
    own = parts()
    save(tmp_path / f"run{end}", **own, losses=[1.5, 0.5], epoch=3, done=True)
    arrays = load(tmp_path / f"run{end}")
    assert (arrays["losses"].tolist(), int(arrays["epoch"]), bool(arrays["done"])) == (
        *([1.5, 0.5], 3, True),
    )
    own["model"].load_state_dict(
        {name: arrays[f"model.{name}"] for name in own["model"].state_dict()}
    )
    text = bytes(arrays["rng"]).decode()
    assert json.loads(text) == own["rng"].bit_generator.state
    assert "model.block.ffn.dropout.rng" in arrays


def broken(arrays, how):
    """The same file with one part spoilt, and what is said of it."""
    spoilt = dict(arrays)
    match how:
        case "weight":
            spoilt["model.head.weight"] = np.zeros((2, 16))
            return spoilt, "model.head.weight of shape (2, 16), not (1, 16)"
        case "moment":
            del spoilt["optimizer.0.exp_avg"]
            return spoilt, "missing optimizer.0.exp_avg"
        case "no generator":
            del spoilt["rng"]
            return spoilt, "rng in the file is the state of a PCG64: got nothing"
        case "other generator":
            text = json.dumps(np.random.MT19937(0).state, default=np.ndarray.tolist)
            spoilt["rng"] = np.frombuffer(text.encode(), np.uint8)
            return spoilt, "ValueError: state must be for a PCG64"
    spoilt["rng"] = np.array([255, 7], np.uint8)
    return spoilt, "UnicodeDecodeError"


@pytest.mark.parametrize("how", ["weight", "moment", "no generator", "other generator", "no text"])
def test_what_does_not_fit_is_loaded_into_none_of_the_parts(tmp_path, how) -> None:
    own, path = parts(), tmp_path / "run.npz"
    save(path, **own)
    spoilt, says = broken(load(path), how)
    np.savez(path, **spoilt)
    other = parts(seed=5)
    before, random = state(other), other["rng"].bit_generator.state
    with refused(StateDictError, says):
        load(path, **other)
    assert same(before, state(other))
    assert other["rng"].bit_generator.state == random


@pytest.mark.parametrize("end", ENDS)
def test_the_name_of_a_part_may_have_dots(tmp_path, end) -> None:
    path = tmp_path / f"run{end}"
    own, other = ({f"tower.{i}": nx.nn.Linear(2, 3, rng=s + i) for i in (1, 2)} for s in (0, 5))
    save(path, **own, **{"tower.rng": np.random.default_rng(0), "tower": 3})
    rest = load(path, **other)
    assert {*rest} == {"tower.rng", "tower"}
    for name, layer in own.items():
        assert same(layer.state_dict(), other[name].state_dict())


def test_the_arrays_of_a_file_can_be_saved_again(tmp_path) -> None:
    own, other = parts(), parts(seed=5)
    save(tmp_path / "run.npz", **own)
    save(tmp_path / "run.safetensors", **load(tmp_path / "run.npz"))
    load(tmp_path / "run.safetensors", **other)
    assert same(state(own), state(other))


@pytest.mark.parametrize("first", [True, False])
def test_two_parts_of_one_name_are_refused(tmp_path, first) -> None:
    layer, array = {"a": nx.nn.Linear(2, 3)}, {"a.weight": np.ones(2)}
    with refused(ArgumentError, "every entry of a file has a name of its own: got a.weight twice"):
        save(tmp_path / "run.npz", **(layer | array if first else array | layer))
    with refused(ArgumentError, "got a.rng twice"):
        save(tmp_path / "run.npz", a=nx.nn.Dropout(0.5), **{"a.rng": 1.0})


def test_what_has_no_state_is_refused(tmp_path) -> None:
    path = tmp_path / "run.npz"
    for part in (object(), "text", [None]):
        with refused(DTypeError, "what is saved is a module, an optimizer, a Generator or numbers"):
            save(path, model=part)
    assert not path.exists()
    save(path, losses=[1.0])
    with refused(DTypeError, "got [1.0]; take losses from what load returns"):
        load(path, losses=[1.0])


@pytest.mark.parametrize("name", ["run.pt", "run", "npz"])
def test_the_end_of_the_name_says_the_format(tmp_path, name) -> None:
    with refused(ArgumentError, f"a file of arrays ends in .npz or .safetensors: got {name}"):
        save(tmp_path / name, loss=0.5)
    with refused(ArgumentError, "choose another name"):
        load(tmp_path / name)
