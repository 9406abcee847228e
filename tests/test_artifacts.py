"""Detector folders: what is saved is what is loaded, and nothing else is accepted."""

import json
import os
import shutil

import numpy as np
import pytest

from dupdetect import Detector
from dupdetect.artifacts import (
    FORMAT,
    MANIFEST,
    Manifest,
    read_arrays,
    read_manifest,
    write_arrays,
    write_manifest,
    written_files,
)
from dupdetect.errors import ArtifactError, DupdetectError, EncoderMismatchError, InputError, OutputExistsError

PAIRS = [("how do i pay", "how can i pay"), ("where is rome", "reset my password"), ("a", "a"), ("", "x")]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector") / "saved"
    return Detector.from_pretrained().save_pretrained(folder)


@pytest.fixture
def folder(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "copy")
    return tmp_path / "copy"


def manifest(folder, **changes):
    content = json.loads((folder / MANIFEST).read_text())
    for key, value in changes.items():
        content[key] = value
    (folder / MANIFEST).write_text(json.dumps(content))


def test_save_and_load_decide_identically(saved):
    before, after = Detector.from_pretrained(), Detector.from_pretrained(saved)
    assert (before.predict_proba(PAIRS) == after.predict_proba(PAIRS)).all()
    assert before.require_calibration() == after.require_calibration()
    assert before.encoder.fingerprint == after.encoder.fingerprint
    assert after.at(min_recall=0.9).require_calibration() == before.at(min_recall=0.9).require_calibration()


def test_saving_twice_gives_the_same_bytes(saved, tmp_path):
    again = Detector.from_pretrained(saved).save_pretrained(tmp_path / "again")
    names = sorted(path.relative_to(saved) for path in saved.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((saved / name).read_bytes() == (again / name).read_bytes() for name in names if name.name != "README.md")


def test_overwriting_is_asked_for(folder):
    detector = Detector.from_pretrained(folder)
    with pytest.raises(OutputExistsError):
        detector.save_pretrained(folder)
    detector.save_pretrained(folder, overwrite=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError):
        detector.save_pretrained(folder, overwrite=True)
    assert (folder / "notes.txt").exists()


def test_the_model_card_may_be_edited_or_go(folder):
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    Detector.from_pretrained(folder)
    assert "README.md" in written_files(folder)
    (folder / "README.md").unlink()
    Detector.from_pretrained(folder)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "evidence.npz"])
def test_a_missing_or_changed_file_is_noticed(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="damaged"):
        Detector.from_pretrained(folder)
    (folder / name).unlink()
    with pytest.raises(ArtifactError, match=f"lacks {name}"):
        Detector.from_pretrained(folder)


def test_optional_files_may_be_missing_but_not_changed(folder):
    (folder / "weights").mkdir()
    for name in ("weights/model.safetensors", "needed.txt"):
        (folder / name).write_bytes(b"content")
    write_manifest(folder, read_manifest_of(folder), optional={"weights/model.safetensors", "never.txt"})
    assert written_files(folder).count("weights") == 1
    read_manifest(folder)
    (folder / "weights/model.safetensors").write_bytes(b"other")
    with pytest.raises(ArtifactError, match="damaged"):
        read_manifest(folder)
    (folder / "weights/model.safetensors").unlink()
    read_manifest(folder)
    (folder / "never.txt").write_text("not listed, as it was not there")
    with pytest.raises(ArtifactError, match="does not list"):
        read_manifest(folder)
    (folder / "never.txt").unlink()
    (folder / "needed.txt").unlink()
    with pytest.raises(ArtifactError, match=r"lacks needed\.txt"):
        read_manifest(folder)


def read_manifest_of(folder):
    """The manifest of a folder to which files were added."""
    content = json.loads((folder / MANIFEST).read_text())
    return Manifest(content["encoder"], content["calibration"], content["name"])


@pytest.mark.parametrize("part", ["files", "optional"])
def test_a_file_that_is_needed_cannot_be_made_optional(folder, part):
    content = json.loads((folder / MANIFEST).read_text())
    manifest(folder, optional={"evidence.npz": content["files"]["evidence.npz"]})
    (folder / "evidence.npz").unlink()
    with pytest.raises(ArtifactError, match=r"lacks evidence\.npz"):
        read_manifest(folder)
    manifest(folder, **{part: []})
    with pytest.raises(ArtifactError, match=part):
        read_manifest(folder)


def test_a_newer_format_says_to_update(folder):
    manifest(folder, format=FORMAT + 1)
    with pytest.raises(ArtifactError, match="pip install --upgrade"):
        Detector.from_pretrained(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "C:\\x", "..\\x"])
def test_no_file_outside_the_folder_is_read(folder, name):
    manifest(folder, files={name: "0" * 64})
    with pytest.raises(ArtifactError, match="outside the folder"):
        Detector.from_pretrained(folder)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"format": "x"}',
        '{"format": 1, "files": 3}',
        '{"format": 1, "files": {"a": 1}, "name": 1}',
    ],
)
def test_a_garbled_manifest_is_one_clear_error(folder, content):
    (folder / MANIFEST).write_text(content)
    with pytest.raises(DupdetectError):
        Detector.from_pretrained(folder)


def test_the_calibration_of_another_encoder_is_refused(folder):
    calibration = json.loads((folder / MANIFEST).read_text())["calibration"]
    manifest(folder, calibration={**calibration, "encoder": "sha256:another"})
    with pytest.raises(EncoderMismatchError):
        Detector.from_pretrained(folder)


def test_an_unknown_engine_is_refused(folder):
    manifest(folder, encoder={"engine": "pickle"})
    with pytest.raises(ArtifactError, match="'pickle'"):
        Detector.from_pretrained(folder)


def test_pickled_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.array([object()], dtype=object))
    with pytest.raises(ArtifactError):
        read_arrays(tmp_path / "x.npz")


def test_arrays_round_trip_and_are_byte_stable(tmp_path):
    arrays = {"b": np.arange(3, dtype=np.float32), "a": np.array([True, False])}
    write_arrays(tmp_path / "x.npz", arrays)
    write_arrays(tmp_path / "y.npz", dict(reversed(arrays.items())))
    assert (tmp_path / "x.npz").read_bytes() == (tmp_path / "y.npz").read_bytes()
    read = read_arrays(tmp_path / "x.npz")
    assert all((read[name] == value).all() and read[name].dtype == value.dtype for name, value in arrays.items())


def test_a_device_that_there_is_not(folder):
    with pytest.raises(InputError, match="There is no device 'gpu'"):
        Detector.from_pretrained(folder, device="gpu")
    assert Detector.from_pretrained(folder, device="cpu").predict(PAIRS)[2]


def test_a_file_that_no_checksum_covers_is_refused(folder):
    manifest(folder, files={})
    with pytest.raises(ArtifactError, match="does not list"):
        Detector.from_pretrained(folder)


def test_a_threshold_that_its_evidence_does_not_give_is_refused(folder):
    calibration = json.loads((folder / MANIFEST).read_text())["calibration"]
    for threshold in (0.1, 10**400):
        manifest(folder, calibration={**calibration, "threshold": threshold})
        with pytest.raises(ArtifactError):
            Detector.from_pretrained(folder)


@pytest.mark.parametrize("content", ['{"format": 1, "files": [[1, 2]]}', "[" * 100_000])
def test_hostile_manifests(folder, content):
    (folder / MANIFEST).write_text(content)
    with pytest.raises(ArtifactError):
        Detector.from_pretrained(folder)


def test_an_encoder_is_never_loaded_from_elsewhere(folder, tmp_path):
    content = json.loads((folder / MANIFEST).read_text())
    manifest(folder, encoder={**content["encoder"], "name": str(tmp_path / "elsewhere")})
    assert Detector.from_pretrained(folder).encoder.fingerprint == content["encoder"]["fingerprint"]


def test_evidence_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    write_arrays(tmp_path / "x.npz", {"a": np.zeros(1000)})
    monkeypatch.setattr("dupdetect.artifacts._LARGEST_EVIDENCE", 100)
    with pytest.raises(ArtifactError, match="unpack to"):
        read_arrays(tmp_path / "x.npz")


def test_evidence_that_is_no_archive_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(3))
    with pytest.raises(ArtifactError):
        read_arrays(tmp_path / "x.npy")


@pytest.mark.parametrize("version", [True, "1", 0, -1, 1.5, float("nan"), None, []])
def test_a_format_that_is_none_is_refused(folder, version):
    manifest(folder, format=version)
    with pytest.raises(ArtifactError, match=r"says no format that there is \(a whole number from 1\)"):
        Detector.from_pretrained(folder)


@pytest.mark.parametrize(
    ("part", "value"), [("files", []), ("encoder", [["a", 1]]), ("calibration", []), ("name", 1), ("name", None)]
)
def test_a_garbled_part_of_the_manifest_is_named(folder, part, value):
    manifest(folder, **{part: value})
    with pytest.raises(ArtifactError, match=f"lacks or garbles '{part}'. Save the detector again"):
        Detector.from_pretrained(folder)


@pytest.mark.parametrize("guards", [{"cap": 2}, {"cap": "high"}, {}, {"cap": 0.5, "more": 1}])
def test_guards_that_are_none_are_refused(folder, guards):
    manifest(folder, guards=guards)
    with pytest.raises(ArtifactError, match=r"The guards are .*must be their cap alone"):
        Detector.from_pretrained(folder)


def test_a_criterion_that_needs_a_run_is_refused(folder):
    calibration = json.loads((folder / MANIFEST).read_text())["calibration"]
    manifest(folder, calibration={**calibration, "criterion": {"name": "estimated_precision", "value": 0.9}})
    with pytest.raises(ArtifactError):
        Detector.from_pretrained(folder)


def test_saving_needs_no_shipped_detector(saved, tmp_path, monkeypatch):
    detector = Detector.from_pretrained(saved)
    monkeypatch.setattr("dupdetect.detector.SHIPPED", {"default": tmp_path / "nowhere"})
    assert (detector.save_pretrained(tmp_path / "again") / MANIFEST).is_file()


@pytest.mark.skipif(os.name != "posix", reason="makes links and pipes as POSIX has them")
def test_a_manifest_that_is_no_file_is_not_read(folder):
    place = folder / MANIFEST
    place.unlink()
    for make in (lambda: place.symlink_to("/dev/zero"), lambda: os.mkfifo(place)):
        make()
        assert written_files(folder) == ()
        with pytest.raises(ArtifactError, match="is not a detector folder"):
            Detector.from_pretrained(folder)
        place.unlink()


def test_a_manifest_that_is_far_too_large_is_not_read(folder):
    with (folder / MANIFEST).open("r+b") as file:
        file.truncate(20_000_000)
    assert written_files(folder) == ()
    with pytest.raises(ArtifactError, match="more than 10,000,000 bytes"):
        Detector.from_pretrained(folder)
