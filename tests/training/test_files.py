"""Files of arrays: every bit comes back, and what interrupts a save leaves the old file whole."""

import os
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refused

from numixology.errors import ArgumentError, UnsupportedError
from numixology.training import files
from numixology.training.files import read_arrays, write_arrays

ENDS = (".npz", ".safetensors")
ends = pytest.mark.parametrize("end", ENDS)

ARRAYS = {
    "odd numbers": np.array([np.nan, -0.0, np.inf, 5e-324]),
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "0-d": np.array(2.5),
    "empty": np.zeros((0, 3)),
    "strided": np.arange(12.0).reshape(3, 4)[:, ::2],
    "Fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "integers": np.array([-(2**63), 2**63 - 1]),
    "bytes": np.frombuffer(b"text", np.uint8),
    "booleans": np.array([True, False]),
    "file": np.array(1),
    "file.npy": np.array(2),
}


@ends
def test_every_bit_comes_back(tmp_path, end) -> None:
    path = tmp_path / f"a{end}"
    write_arrays(path, ARRAYS)
    found = read_arrays(path)
    assert {*found} == {*ARRAYS}
    for name, array in ARRAYS.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        assert found[name].tobytes() == array.tobytes()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@given(st.binary(max_size=40), st.sampled_from(ENDS))
def test_bytes_that_are_no_file_are_refused(tmp_path_factory, content, end) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"a{end}"
    path.write_bytes(content)
    with refused(ArgumentError, "must be a file that nx.save wrote"):
        read_arrays(path)


@ends
def test_a_file_cut_anywhere_is_refused(tmp_path, end) -> None:
    path = tmp_path / f"a{end}"
    write_arrays(path, {"x": np.arange(3.0), "y": np.array(1)})
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with refused(ArgumentError, "must be a file that nx.save wrote"):
            read_arrays(path)


def test_nothing_is_pickled(tmp_path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(ValueError, match="pickle"):
        write_arrays(path, {"x": np.array([{}], object)})
    assert not [*tmp_path.iterdir()]
    np.savez(path, x=np.array([{}], object))
    with refused(ArgumentError, "ValueError: Object arrays cannot be loaded"):
        read_arrays(path)


def test_an_archive_of_something_else_is_refused(tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with refused(ArgumentError, "must be a file that nx.save wrote"):
        read_arrays(tmp_path / "a.npz")


def test_what_numpy_saved_is_read(tmp_path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.arange(3.0), y=2)
    found = read_arrays(tmp_path / "a.npz")
    assert (found["x"].tolist(), found["y"]) == ([0, 1, 2], 2)


@ends
@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_save_leaves_the_old_file_whole(
    tmp_path, monkeypatch, end, call, error
) -> None:
    path = tmp_path / f"a{end}"
    write_arrays(path, {"x": np.arange(3.0)})
    before = path.read_bytes()

    def interrupt(*arguments):
        raise error

    monkeypatch.setattr(files.os, call, interrupt)
    with pytest.raises((ArgumentError, KeyboardInterrupt)):
        write_arrays(path, {"x": np.arange(99.0)})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_the_bytes_reach_the_disk_before_the_file_has_its_name(tmp_path, monkeypatch) -> None:
    path, calls = tmp_path / "a.npz", []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            files.os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a))[1]
        )
    write_arrays(path, {"x": np.arange(3.0)})
    assert calls == ["fsync", "replace", "fsync"]  # the file, its name, the folder


def test_a_folder_that_cannot_be_opened_is_no_obstacle(tmp_path, monkeypatch) -> None:
    def no_folders(*arguments):
        raise PermissionError

    monkeypatch.setattr(files.os, "open", no_folders)
    write_arrays(tmp_path / "a.npz", {"x": np.array(1)})
    assert read_arrays(tmp_path / "a.npz") == {"x": 1}


def test_a_link_stays_one(tmp_path) -> None:
    (tmp_path / "there").mkdir()
    path, link = tmp_path / "there" / "a.npz", tmp_path / "link.npz"
    write_arrays(path, {"x": np.array(1)})
    link.symlink_to(path)
    write_arrays(link, {"x": np.array(2)})
    assert link.is_symlink()
    assert read_arrays(path) == {"x": 2}


def test_a_file_has_the_rights_of_a_new_one(tmp_path) -> None:
    (tmp_path / "plain").touch()
    write_arrays(tmp_path / "a.npz", {"x": np.array(1)})
    assert (tmp_path / "a.npz").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_keeps_its_rights(tmp_path) -> None:
    path = tmp_path / "a.npz"
    write_arrays(path, {"x": np.array(1)})
    path.chmod(0o600)
    before = path.stat().st_mode
    write_arrays(path, {"x": np.array(2)})
    assert path.stat().st_mode == before


def test_a_path_that_leads_nowhere_is_refused(tmp_path) -> None:
    with refused(ArgumentError, "must be a file that can be written: got No such file"):
        write_arrays(tmp_path / "nowhere" / "a.npz", {})
    with refused(ArgumentError, "must be a file that nx.save wrote: got No such file"):
        read_arrays(tmp_path / "a.npz")


def test_without_its_library_safetensors_is_not_supported(tmp_path, monkeypatch) -> None:
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(files, "import_module", missing)
    with refused(UnsupportedError, "a.safetensors needs safetensors", "numixology[vectors]"):
        write_arrays(tmp_path / "a.safetensors", {})
