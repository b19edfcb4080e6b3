"""The command that trains: what it prints, draws, saves and goes on from."""

import json
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import numixology as nx


@pytest.mark.parametrize(("task", "bound"), [("copy", "1.386294"), ("cross", "0.693147")])
def test_the_loss_stands_beside_its_bound_and_those_of_some_steps_below(
    printed, task, bound
) -> None:
    out = printed(f"train {task} --steps 4 --mixing rankmixer --mixing identity")
    title, _, header, _, *rows = out.splitlines()
    assert title.startswith(f"{task}: ")
    assert header.split() == ["mixing", "loss", "least", "without", "mixing", "seconds"]
    for name, row in zip(("rankmixer", "identity"), rows, strict=False):
        found, loss, least, _ = row.split()
        assert (found, least) == (name, bound)
        assert 0.9 * float(bound) < float(loss) < 1.5 * float(bound)
    assert "\n  step  rankmixer  identity  least without mixing\n" in out
    assert max(map(len, out.splitlines())) <= 80


def test_the_paper_s_mixing_is_trained_unless_another_is_asked_for(printed) -> None:
    out = printed("train copy --steps 3")
    assert "rankmixer" in out
    assert "identity" not in out


def test_a_seed_gives_the_same_again(printed) -> None:
    def loss(line):
        return printed(f"train copy --steps 5 {line}").splitlines()[4].split()[1]

    assert loss("--seed 1") == loss("--seed 1") != loss("--seed 2")


def test_the_curve_is_drawn_as_svg_too(printed, tmp_path) -> None:
    out = printed(f"train copy --steps 8 --svg {tmp_path}/loss.svg")
    picture = ElementTree.parse(tmp_path / "loss.svg").getroot()
    assert picture.tag.endswith("svg")
    text = "".join(picture.itertext())
    for words in (
        out.splitlines()[0],
        "Loss before each step",
        "rankmixer",
        "step",
        "nats (log scale)",
    ):
        assert words in text


@pytest.mark.parametrize("end", ["npz", "safetensors"])
def test_resuming_ends_where_one_training_would(run, tmp_path, end) -> None:
    whole, parts = (f"{tmp_path}/{name}.{end}" for name in ("whole", "parts"))
    assert run(f"train cross --steps 12 --save {whole}")[0] == 0
    assert run(f"train cross --steps 5 --save {parts}")[0] == 0
    assert run(f"train cross --steps 12 --save {parts} --resume")[0] == 0
    one, other = nx.load(whole), nx.load(parts)
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert len(one["losses"]) == one["optimizer.steps"] == 12


def test_a_training_that_is_over_is_shown_again(printed, tmp_path) -> None:
    line = f"train copy --steps 5 --save {tmp_path}/run.npz"
    first = printed(line).splitlines()
    again = printed(f"{line} --resume").splitlines()
    assert first[4].split()[:3] == again[4].split()[:3]
    assert first[5:] == again[5:]


def test_state_is_saved_before_now_and_then_and_after(run, tmp_path, monkeypatch) -> None:
    steps = []
    monkeypatch.setattr(
        "numixology.cli.train.save", lambda path, **parts: steps.append(parts["optimizer"].steps)
    )
    monkeypatch.setattr("numixology.cli.train._EVERY", 3)
    run(f"train copy --steps 7 --save {tmp_path}/run.npz")
    assert steps == [0, 3, 6, 7]


def test_an_interrupt_ends_it_in_a_line(run, monkeypatch) -> None:
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("numixology.cli.train.train", interrupted)
    assert run("train copy") == (130, "", "\nnumixology train: interrupted\n")


def test_a_terminal_sees_a_bar(run, monkeypatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _, out, err = run("train copy --steps 4")
    assert "·· 50% rankmixer 1." in err.replace("\x1b[K", "").replace("  ", " ")
    assert err.endswith("\r\x1b[K")
    assert out.startswith("copy: ")


def test_no_training_is_overwritten_by_another(refused, run, tmp_path) -> None:
    line = f"train copy --steps 2 --save {tmp_path}/run.npz"
    run(line)
    assert "which exists; go on from it with --resume, or choose another" in refused(line)


def test_only_the_same_training_is_resumed(refused, run, tmp_path) -> None:
    run(f"train copy --steps 2 --save {tmp_path}/run.npz")
    for other in ("train cross", "train copy --seed 1", "train copy --mixing identity"):
        said = refused(f"{other} --save {tmp_path}/run.npz --resume")
        assert "--resume goes on with the training in" in said
        assert json.dumps(["copy", "rankmixer", 0, None, None]) in said
    nx.save(tmp_path / "other.npz", loss=1.0)
    assert "for none" in refused(f"train copy --save {tmp_path}/other.npz --resume")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("train sort", "unknown task 'sort'; use copy, cross, table"),
        ("train copy --mixing none", "unknown mixing 'none'; use rankmixer, guide, "),
        ("train copy --steps 0", "--steps is a positive integer: got 0"),
        ("train copy --seed -1", "--seed: invalid natural value: '-1'"),
        ("train copy --resume", "--resume goes on from a file: got none; name it with --save"),
        ("train copy --resume --save nowhere.npz", "nowhere.npz must be a file that nx.save wrote"),
        ("train copy --save run.pt --steps 1", "ends in .npz or .safetensors: got run.pt"),
        (
            "train copy --save a.npz --mixing guide --mixing full",
            "a file has one training: got 2 mixings; give one --mixing",
        ),
    ],
)
def test_senseless_arguments_are_one_line(refused, line, says) -> None:
    assert says in refused(line)


def test_a_table_is_ranked_by_several_mixings_side_by_side(printed) -> None:
    out = printed("train table --steps 4")
    title, _, header, _, *rows = out.splitlines()
    assert title == "table: categories site, device; numbers age, price; 3,000 rows, 1,000 held out"
    assert header.split() == ["mixing", "parameters", "loss", "AUC", "seconds"]
    names = ["identity", "rankmixer", "matrix", "attention"]
    assert [row.split()[0] for row in rows[:4]] == names
    assert all(0.3 < float(row.split()[3]) < 0.7 for row in rows[:4])
    assert any(row.endswith("a constant") for row in rows)


def test_a_file_of_one_s_own_is_read_saved_and_resumed(printed, refused, tmp_path) -> None:
    lines = [f"{i % 3},{i * 0.5},{'yes' if i % 2 else 'no'}\n" for i in range(40)]
    (tmp_path / "a.csv").write_text("site,price,click\n" + "".join(lines), "utf-8")
    line = f"train table --csv {tmp_path}/a.csv --target click --save {tmp_path}/run.npz"
    first = printed(f"{line} --mixing rankmixer --steps 3")
    assert first.startswith("table: categories site; numbers price; 30 rows, 10 held out\n")
    second = printed(f"{line} --mixing rankmixer --steps 3 --resume")
    assert first.splitlines()[4].split()[:4] == second.splitlines()[4].split()[:4]
    assert "goes on with the training" in refused(
        f"train table --save {tmp_path}/run.npz --mixing rankmixer --resume"
    )


def test_rows_that_are_alike_are_tied(printed, tmp_path) -> None:
    """However their places in a batch round them."""
    for count in (40, 60, 64, 80):
        lines = [f"a,{i % 2}\n" for i in range(count)]
        (tmp_path / "a.csv").write_text("site,click\n" + "".join(lines), "utf-8")
        line = f"train table --csv {tmp_path}/a.csv --target click --steps 1 --mixing rankmixer"
        assert printed(line).splitlines()[4].split()[3] == "0.5000"


def test_numbers_that_are_ids_are_named(printed, tmp_path) -> None:
    lines = [f"{i},{i * 0.5},{i % 2}\n" for i in range(40)]
    (tmp_path / "a.csv").write_text("user,price,click\n" + "".join(lines), "utf-8")
    line = f"train table --csv {tmp_path}/a.csv --target click --steps 1 --mixing identity"
    assert printed(line).startswith("table: numbers user, price; 30 rows")
    out = printed(f"{line} --categorical user")
    assert out.startswith("table: categories user; numbers price; 30 rows")


def test_a_category_may_be_among_the_rows_held_out_alone(printed, tmp_path) -> None:
    for odd in range(0, 24, 2):  # some of them are held out
        lines = [f"{'z' if i == odd else 'a'},{i // 2 % 2}\n" for i in range(24)]
        (tmp_path / "a.csv").write_text("site,click\n" + "".join(lines), "utf-8")
        printed(f"train table --csv {tmp_path}/a.csv --target click --steps 1 --mixing identity")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--csv a.csv", "--csv and --target go together: got one of them; give both, or neither"),
        ("--target click", "--csv and --target go together"),
        ("--categorical user", "names columns of a file: got none; name it with --csv"),
        ("--csv nowhere.csv --target click", "nowhere.csv must be a CSV file"),
    ],
)
def test_senseless_tables_are_one_line(refused, line, says) -> None:
    assert says in refused(f"train table {line}")


def test_a_table_too_short_to_hold_rows_out_is_one_line(refused, tmp_path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,0\n2,1\n", "utf-8")
    said = refused(f"train table --csv {tmp_path}/a.csv --target y")
    assert "both labels are among the rows to train on and among those held out" in said
