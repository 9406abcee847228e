"""Engines by name, and what is said where one cannot be had. What Ray does is in test_ray.py."""

import json
import socket
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from dupdetect.cli import main
from dupdetect.engines import LocalEngine, RayEngine, engine_of
from dupdetect.errors import InputError, MissingExtraError
from dupdetect.search import similar_pairs


def test_engines_go_by_their_names():
    assert isinstance(engine_of("local"), LocalEngine)
    assert isinstance(engine_of("ray"), RayEngine)
    given = RayEngine("auto")
    assert engine_of(given) is given
    with pytest.raises(InputError, match="no engine='dask': it is 'local' or 'ray'"):
        engine_of("dask")


def test_the_local_engine_does_what_its_parts_do(encoder):
    texts = [f"how do i pay bill {n % 7} of shop {n}" for n in range(60)]
    with LocalEngine() as engine:
        rows = engine.encode(encoder, texts)
        np.testing.assert_array_equal(rows, encoder.encode(texts))
        found, expected = engine.join(rows, 0.8), similar_pairs(rows, 0.8)
    assert len(found) == len(expected) > 0
    assert engine.record() == {"kind": "local"}


def test_without_the_extra_the_pip_line_is_named(monkeypatch, detector):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r'pip install "dupdetect\[cluster\]"'):
        detector.deduplicate(["how do i pay", "how do i pay"], engine="ray")
    assert not detector.encoder.encoded


@pytest.fixture
def export(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export.csv").write_text("question\nhow do i pay\nHow do I pay\n", encoding="utf-8")
    return "export.csv"


def status(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return stop.value.code


def test_the_command_names_the_pip_line(capsys, monkeypatch, export, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert status("dedupe", export, "--engine", "ray") == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: --engine ray needs the package ray")
    assert 'pip install "dupdetect[cluster]"' in error
    assert not (tmp_path / "export.dupdetect").exists()


def test_an_address_is_that_of_a_cluster(capsys, export):
    assert status("dedupe", export, "--address", "auto") == 2
    assert "Add --engine ray, or leave it out." in capsys.readouterr().err


@pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra cluster")  # found, not yet imported
@pytest.mark.parametrize("address", ["", " "])
def test_a_blank_address_is_none(address):
    with pytest.raises(InputError, match="address of the cluster is blank"):
        RayEngine(address)


def test_an_address_where_nobody_answers(capsys, export, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # and nobody listens
        assert status("dedupe", export, "--engine", "ray", "--address", f"127.0.0.1:{free.getsockname()[1]}") == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: No Ray cluster answers at 127.0.0.1:")
    assert "or choose --engine local." in error
    assert not (tmp_path / "export.dupdetect").exists()


def test_the_record_names_the_engine(export, tmp_path):
    assert status("dedupe", export) == 0
    record = json.loads((tmp_path / "export.dupdetect" / "run.json").read_text(encoding="utf-8"))
    assert record["engine"] == {"kind": "local"}
