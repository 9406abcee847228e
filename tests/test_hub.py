"""To the Hugging Face hub and back, over a hub that is a dict: repositories, branches, files."""

import fnmatch
import hashlib
import inspect
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_bert import made_up_pairs

from dupdetect import Detector
from dupdetect.artifacts import MANIFEST
from dupdetect.errors import ArtifactError, InputError, MissingExtraError
from dupdetect.model_card import model_card

huggingface_hub = pytest.importorskip("huggingface_hub")
errors = pytest.importorskip("huggingface_hub.errors")
yaml = pytest.importorskip("yaml")

PAIRS = [("how do i pay", "how can i pay"), ("where is rome", "reset my password")]


class Hub:
    """What of the hub and of its library is used here. Calls are bound to the signatures of the real ones."""

    def __init__(self, cache):
        self.cache = cache
        self.repositories = {}
        self.private = {}
        self.fetched = []
        self.messages = []
        self.reachable = True

    def put(self, repo_id, files, branch="main"):
        self.repositories.setdefault(repo_id, {"main": {}})[branch] = dict(files)

    def files(self, repo_id, revision):
        if not self.reachable:
            raise ConnectionError("no network here")
        branches = self.repositories.get(repo_id)
        if branches is None:
            raise errors.HFValidationError(f"there is no {repo_id}")
        if revision is None or revision in branches:
            return branches[revision or "main"]
        return next(files for files in branches.values() if commit_of(files) == revision)

    def hf_hub_download(self, *given, **named):
        call = inspect.signature(REAL_DOWNLOAD).bind(*given, **named).arguments
        repo_id, name, revision = call["repo_id"], call["filename"], call.get("revision")
        folder = self.cache / f"models--{repo_id.replace('/', '--')}" / "snapshots"
        if call.get("local_files_only") or not self.reachable:
            here = folder / (revision or (folder / "main").read_text() if folder.is_dir() else "none") / name
            if here.is_file():
                return str(here)
            raise errors.LocalEntryNotFoundError("not in the cache")
        files = self.files(repo_id, revision)
        if name not in files:
            raise errors.EntryNotFoundError(f"no {name}")
        self.fetched.append(name)
        place = folder / commit_of(files) / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(files[name])
        (folder / "main").write_text(commit_of(files))
        return str(place)

    def get_hf_file_metadata(self, *given, **named):
        inspect.signature(REAL_METADATA).bind(*given, **named)
        if not self.reachable:
            raise ConnectionError("no network here")

    def api(self, token=None):
        hub = self

        class Api:
            hf_hub_download = staticmethod(hub.hf_hub_download)

            def create_repo(self, repo_id, **named):
                inspect.signature(REAL_API.create_repo).bind(self, repo_id, **named)
                full = repo_id if "/" in repo_id else f"me/{repo_id}"
                if token == "wrong":  # noqa: S105
                    raise PermissionError("401 Client Error\nRepository Not Found for url")
                if full not in hub.repositories:
                    hub.put(full, {".gitattributes": b""})
                    hub.private[full] = bool(named["private"])
                return SimpleNamespace(repo_id=full)

            def repo_info(self, repo_id):
                return SimpleNamespace(private=hub.private[repo_id])

            def list_repo_refs(self, repo_id):
                return SimpleNamespace(branches=[SimpleNamespace(name=name) for name in hub.repositories[repo_id]])

            def create_branch(self, repo_id, **named):
                inspect.signature(REAL_API.create_branch).bind(self, repo_id, **named)
                branches = hub.repositories[repo_id]
                assert named["branch"] not in branches
                branches[named["branch"]] = dict(branches["main"])

            def list_repo_files(self, repo_id, *, revision=None):
                return list(hub.files(repo_id, revision))

            def upload_folder(self, **named):
                inspect.signature(REAL_API.upload_folder).bind(self, **named)
                files = hub.files(named["repo_id"], named["revision"])
                for name in list(files):
                    if any(fnmatch.fnmatch(name, pattern) for pattern in named["delete_patterns"]):
                        del files[name]
                for path in Path(named["folder_path"]).rglob("*"):
                    if path.is_file():
                        files[path.relative_to(named["folder_path"]).as_posix()] = path.read_bytes()
                hub.messages.append(named["commit_message"])
                return SimpleNamespace(commit_url=f"https://hub/{named['repo_id']}/commit/{commit_of(files)}")

        return Api()


REAL_DOWNLOAD, REAL_API = huggingface_hub.hf_hub_download, huggingface_hub.HfApi
REAL_METADATA = huggingface_hub.get_hf_file_metadata


def commit_of(files):
    digests = sorted((name, hashlib.sha256(content).hexdigest()) for name, content in files.items())
    return hashlib.sha256(repr(digests).encode()).hexdigest()[:40]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "cache")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", hub.hf_hub_download)
    monkeypatch.setattr(huggingface_hub, "HfApi", hub.api)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", hub.get_hf_file_metadata)
    monkeypatch.setattr(
        huggingface_hub,
        "try_to_load_from_cache",
        lambda repo_id, name, revision=None: next(
            map(str, (hub.cache / f"models--{repo_id.replace('/', '--')}").glob(f"snapshots/*/{name}")), None
        ),
    )
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub.cache))
    return hub


@pytest.fixture(scope="module")
def fast():
    """A detector whose evidence is small, as the card is made from it each time."""
    shipped = Detector.from_pretrained(tier="fast")
    return Detector.calibrate(shipped.encoder, made_up_pairs(300, seed=1), data="made for the tests", name="made up")


def test_what_is_pushed_is_what_is_loaded(hub, fast):
    address = fast.push_to_hub("me/mine")
    assert address.startswith("https://hub/me/mine/commit/")
    assert hub.messages == ["Add a dupdetect detector"]
    found = Detector.from_pretrained("me/mine")
    assert (found.predict_proba(PAIRS) == fast.predict_proba(PAIRS)).all()
    assert (found.name, found.require_calibration()) == (fast.name, fast.require_calibration())
    assert sorted(hub.fetched) == sorted({*hub.repositories["me/mine"]["main"]} - {".gitattributes", "README.md"})


def test_a_name_without_owner_is_ones_own(hub, fast):
    fast.push_to_hub("mine")
    assert Detector.from_pretrained("me/mine").name == fast.name


def test_once_loaded_it_is_there_without_a_network(hub, fast):
    fast.push_to_hub("me/mine")
    Detector.from_pretrained("me/mine")
    hub.reachable = False
    for local_files_only in (False, True):
        found = Detector.from_pretrained("me/mine", local_files_only=local_files_only)
        assert found.encoder.fingerprint == fast.encoder.fingerprint


def test_branches(hub, fast):
    fast.push_to_hub("me/mine", commit_message="first")
    fast.at(threshold=0.9).push_to_hub("me/mine", revision="strict", commit_message="second")
    assert hub.messages == ["first", "second"]
    assert Detector.from_pretrained("me/mine").require_calibration().threshold == fast.require_calibration().threshold
    assert Detector.from_pretrained("me/mine", revision="strict").require_calibration().threshold == 0.9


def test_another_encoder_leaves_nothing_of_the_first(hub, fast):
    default = Detector.from_pretrained().encoder
    Detector.calibrate(default, made_up_pairs(100, seed=1)).push_to_hub("me/mine")
    assert "model.onnx" in hub.repositories["me/mine"]["main"]
    hub.repositories["me/mine"]["main"]["LICENSE"] = b"mine"
    fast.push_to_hub("me/mine")
    files = hub.repositories["me/mine"]["main"]
    assert "model.onnx" not in files
    assert {"LICENSE", ".gitattributes", "vectors.npy", "README.md"} <= set(files)
    assert Detector.from_pretrained("me/mine").encoder.fingerprint == fast.encoder.fingerprint


def test_a_repository_of_something_else_is_left_alone(hub, fast):
    files = {".gitattributes": b"", "README.md": b"", "model.safetensors": b"weights"}
    hub.put("me/other", files)
    with pytest.raises(InputError, match=r"me/other holds model\.safetensors, and no detector"):
        fast.push_to_hub("me/other")
    with pytest.raises(InputError, match=r"and no detector"):
        fast.push_to_hub("me/other", revision="mine")
    assert hub.repositories["me/other"] == {"main": files}


def test_what_should_be_private_is_not_sent_to_a_public_repository(hub, fast):
    fast.push_to_hub("me/secret", private=True)
    assert hub.private["me/secret"]
    fast.push_to_hub("me/open")
    before = dict(hub.repositories["me/open"]["main"])
    with pytest.raises(InputError, match="there already, and public"):
        fast.at(threshold=0.9).push_to_hub("me/open", private=True)
    assert hub.repositories["me/open"]["main"] == before


def test_a_refusal_is_one_line(hub, fast):
    with pytest.raises(ArtifactError, match=r"cannot be sent to me/mine .*: 401 Client Error\. Check the name"):
        fast.push_to_hub("me/mine", token="wrong")  # noqa: S106


def test_the_card_is_edited_on_the_hub(hub, fast):
    fast.push_to_hub("me/mine")
    hub.repositories["me/mine"]["main"]["README.md"] = b"---\nlicense: mit\n---\n"
    assert Detector.from_pretrained("me/mine").name == fast.name


@pytest.mark.parametrize("name", ["vectors.npy", "evidence.npz", "tokenizer.json"])
def test_what_comes_from_the_hub_is_checked(hub, fast, name):
    fast.push_to_hub("me/mine")
    files = hub.repositories["me/mine"]["main"]
    content = files[name]
    files[name] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(ArtifactError, match="damaged"):
        Detector.from_pretrained("me/mine")
    del files[name]
    with pytest.raises(ArtifactError, match=f"no {name}"):
        Detector.from_pretrained("me/mine")


def test_nothing_outside_the_folder_is_fetched(hub, fast, tmp_path):
    fast.push_to_hub("me/mine")
    files = hub.repositories["me/mine"]["main"]
    manifest = json.loads(files[MANIFEST])
    files[MANIFEST] = json.dumps({**manifest, "files": {**manifest["files"], "../../../evil": "0"}}).encode()
    files["../../../evil"] = b""
    hub.fetched.clear()
    with pytest.raises(ArtifactError, match="names a file outside the folder"):
        Detector.from_pretrained("me/mine")
    assert hub.fetched == [MANIFEST]


def test_a_name_that_is_nowhere(hub):
    with pytest.raises(
        ArtifactError, match=r"no folder me/nowhere, .* as the name of a detector on the hub.*there is no"
    ):
        Detector.from_pretrained("me/nowhere")
    hub.reachable = False
    with pytest.raises(ArtifactError, match=r"no network here\. Check the name"):
        Detector.from_pretrained("me/nowhere")


def test_other_models_are_left_to_sentence_transformers(hub, monkeypatch):
    hub.put("them/model", {"config.json": b"{}"})
    asked = []
    monkeypatch.setattr(
        "dupdetect.encoder.load.TransformerEncoder.load",
        lambda name, **options: asked.append((name, options)) or SimpleNamespace(fingerprint="x"),
    )
    found = Detector.from_pretrained("them/model", revision="main")
    assert (found.name, found.calibration) == ("model", None)
    hub.hf_hub_download("them/model", "config.json")
    hub.reachable = False
    Detector.from_pretrained("them/model")
    assert [name for name, _ in asked] == ["them/model"] * 2
    assert [options["local_files_only"] for _, options in asked] == [False, True]  # not to ask again, for minutes
    assert asked[0][1]["revision"] == "main"


def test_a_folder_comes_before_the_hub(hub, fast, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fast.save_pretrained("me")
    (tmp_path / "them").mkdir()
    fast.at(threshold=0.9).save_pretrained("them/mine")
    assert Detector.from_pretrained("them/mine").require_calibration().threshold == 0.9
    assert hub.fetched == []


def test_without_the_library(monkeypatch, fast):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: Detector.from_pretrained("me/mine"), lambda: fast.push_to_hub("me/mine")):
        with pytest.raises(MissingExtraError, match=r'pip install "dupdetect\[hub\]"'):
            call()


class TestCard:
    def card(self, folder):
        text = (folder / "README.md").read_text(encoding="utf-8")
        _, front, body = text.split("---\n", 2)
        return yaml.safe_load(front), body

    def test_of_a_shipped_detector(self, hub, fast):
        fast.push_to_hub("me/mine")
        text = hub.repositories["me/mine"]["main"]["README.md"].decode()
        front, body = yaml.safe_load(text.split("---\n")[1]), text.split("---\n", 2)[2]
        assert front["license"] == "apache-2.0"
        assert front["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
        assert (front["library_name"], "duplicate-detection" in front["tags"]) == ("dupdetect", True)
        assert 'Detector.from_pretrained("me/mine")' in body
        (index,) = front["model-index"]
        (result,) = index["results"]
        found = fast.require_calibration().summary()
        assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
            name: found[name]["value"] for name in ("precision", "recall", "f1")
        }
        assert all("the threshold was chosen on" in metric["name"] for metric in result["metrics"])
        # What huggingface_hub itself demands of a card's data.
        data = huggingface_hub.ModelCardData(**{key: value for key, value in front.items() if key != "model-index"})
        assert data.license == "apache-2.0"

    def test_of_what_is_not_known_nothing_is_said(self, fast, tmp_path):
        odd = 'a: "b"\n---\nlicense: mit <script>'
        bare = Detector(fast.encoder, None, odd)
        front, body = self.card(bare.save_pretrained(tmp_path / "bare"))
        assert "model-index" not in front
        assert "<script>" not in body
        text = model_card(odd, fast.calibration)
        front = yaml.safe_load(text.split("---\n")[1])
        assert {"license", "base_model"}.isdisjoint(front)
        assert front["model-index"][0]["name"] == odd
        assert "No licence is stated" in text
