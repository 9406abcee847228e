"""To the Hugging Face hub and back by the real library, over HTTP, with a small hub on this machine."""

import json
import os
import subprocess
import sys
import time

import pytest
from tiny_bert import made_up_pairs

from dupdetect import Detector

huggingface_hub = pytest.importorskip("huggingface_hub")
pytest.importorskip("yaml")
from small_hub import TOKEN, SmallHub  # noqa: E402 - needs yaml

NOBODY = "http://127.0.0.1:9"  # the port of a service that discards: nothing listens there
PAIRS = [("how do i pay", "how can i pay"), ("where is rome", "reset my password")]
PRELUDE = """
import sys
from dupdetect import Detector
from dupdetect.errors import DupdetectError

mine = Detector.from_pretrained(sys.argv[1])
def told(call):
    try:
        return call()
    except DupdetectError as error:
        return f"{type(error).__name__}: {error}"
"""


@pytest.fixture
def hub():
    return SmallHub()


@pytest.fixture(scope="module")
def mine():
    """A detector whose evidence is small, as the card is made from it each time."""
    shipped = Detector.from_pretrained(tier="fast")
    return Detector.calibrate(shipped.encoder, made_up_pairs(300, seed=1), data="made for the tests", name="made up")


@pytest.fixture(scope="module")
def folder(mine, tmp_path_factory):
    return mine.save_pretrained(tmp_path_factory.mktemp("mine") / "detector")


@pytest.fixture
def client(hub, folder, tmp_path):
    """Return a function that runs lines of Python where the hub is the one of the test, and returns what they print.

    In a process of its own: the library reads its settings when it is imported.
    """

    def run(lines, *, token=TOKEN, endpoint=None, **more):
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        # Files go as they do where there is no hf_xet: it speaks to another service.
        variables |= {"HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        variables |= {"HF_TOKEN": token} if token else {}
        variables |= {"NO_PROXY": "127.0.0.1", **more}
        with hub.serving() as address:
            done = subprocess.run(
                [sys.executable, "-c", PRELUDE + lines, str(folder)],
                env=variables | {"HF_ENDPOINT": endpoint or address},
                capture_output=True,
                text=True,
                timeout=120,
            )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip().replace(address, "ADDRESS")

    return run


def test_there_and_back(hub, client, mine):
    lines = f"""
print(mine.push_to_hub("me/mine", commit_message="The first"))
found = Detector.from_pretrained("me/mine")
print(found.predict_proba({PAIRS!r}).tolist())
"""
    address, probabilities = client(lines).splitlines()
    assert address.startswith("ADDRESS/me/mine/commit/")
    assert json.loads(probabilities) == mine.predict_proba(PAIRS).tolist()
    assert hub.messages == ["The first"]
    assert "visibility" not in hub.created[0]
    assert not hub.repositories["me/mine"]["private"]
    assert {"dupdetect.json", "vectors.npy", "README.md"} <= set(hub.files("me/mine"))
    # The token goes to the hub, and not to where it says that large files are stored.
    shown = {path.split("/")[0]: token for _, path, token in hub.requests}
    assert shown == {"api": f"Bearer {TOKEN}", "me": f"Bearer {TOKEN}", "lfs": None}
    assert any(path == "api/validate-yaml" for _, path, _ in hub.requests)


def test_a_token_that_is_handed_over_counts_before_the_login(hub, client):
    pushed, wrong = 'print(told(lambda: mine.push_to_hub("me/mine", token={!r})))', "hf_wrong"
    refused = client(pushed.format(wrong))
    assert refused.startswith("ArtifactError: The detector cannot be sent to me/mine on the hub: ")
    assert "or token." in refused
    assert wrong not in refused
    assert hub.repositories == {}
    assert client(pushed.format(TOKEN), token=wrong).startswith("ADDRESS/me/mine/commit/")
    before = len(hub.requests)
    assert client(pushed.format(TOKEN), token=None).startswith("ADDRESS/me/mine/commit/")
    sent = {token for _, path, token in hub.requests[before:] if path.startswith("api/models")}
    assert sent == {f"Bearer {TOKEN}"}


def test_without_a_login_it_says_to_log_in(hub, client):
    refused = client('print(told(lambda: mine.push_to_hub("me/mine")))', token=None)
    assert refused.startswith("ArtifactError: The detector cannot be sent to me/mine on the hub: ")
    assert "hf auth login" in refused
    assert hub.repositories == {}


def test_private(hub, client, tmp_path):
    lines = """
mine.push_to_hub("me/secret", private=True)
print(told(lambda: mine.push_to_hub("me/open", private=True)))
print(Detector.from_pretrained("me/secret").name)
"""
    hub.put("me/open", {})
    refused, name = client(lines).splitlines()
    assert hub.repositories["me/secret"]["private"]
    assert hub.created[0]["visibility"] == "private"
    assert refused == "InputError: me/open is there already, and public. Make it private first, or name another."
    assert set(hub.files("me/open")) == {".gitattributes"}
    assert name == "made up"
    # Who may not see it is told the same as of what is not there.
    refused = client(
        'print(told(lambda: Detector.from_pretrained("me/secret")))', token=None, HF_HOME=str(tmp_path / "elsewhere")
    )
    assert refused.startswith("ArtifactError: There is no folder me/secret, ")
    assert "for what is private the login (hf auth login)" in refused


def test_what_an_organisation_keeps_private_is_not_made_public(hub, client):
    hub.default_private = True
    client('mine.push_to_hub("me/mine")')
    assert hub.repositories["me/mine"]["private"]


def test_branches(hub, client):
    lines = """
mine.push_to_hub("me/mine")
for revision in ("strict", "strict", "main"):
    mine.at(threshold=0.9 if revision == "strict" else 0.8).push_to_hub("me/mine", revision=revision)
for revision in (None, "main", "strict"):
    print(Detector.from_pretrained("me/mine", revision=revision).require_calibration().threshold)
print(told(lambda: Detector.from_pretrained("me/mine", revision="nowhere")))
print(told(lambda: mine.push_to_hub("me/other", revision="mine")))
"""
    hub.put("me/other", {"model.safetensors": b"weights"})
    *thresholds, lost, refused = client(lines).splitlines()
    assert thresholds == ["0.8", "0.8", "0.9"]
    assert sorted(hub.repositories["me/mine"]["branches"]) == ["main", "strict"]
    assert lost.startswith("ArtifactError: There is no folder me/mine, ")
    assert refused.startswith("InputError: me/other holds model.safetensors, and no detector.")
    assert sorted(hub.repositories["me/other"]["branches"]) == ["main"]  # nothing is made where nothing is sent


def test_another_encoder_leaves_nothing_of_the_first(hub, client, tmp_path):
    lines = """
mine.push_to_hub("me/mine")
Detector.from_pretrained().push_to_hub("me/mine")
print(Detector.from_pretrained("me/mine").name)
"""
    assert client(lines) == "dupdetect-default"
    default = Detector.from_pretrained().save_pretrained(tmp_path / "default")
    written = {path.relative_to(default).as_posix() for path in default.rglob("*") if path.is_file()}
    assert set(hub.files("me/mine")) == written | {".gitattributes", "README.md"}


def test_the_card_is_what_the_library_takes_for_one(hub, client, mine, tmp_path):
    client('mine.push_to_hub("me/mine")')
    (tmp_path / "card.md").write_bytes(hub.files("me/mine")["README.md"])
    card = huggingface_hub.ModelCard.load(tmp_path / "card.md")
    assert card.data.library_name == "dupdetect"
    (result, *_) = card.data.eval_results
    assert result.task_type == "sentence-similarity"
    assert result.metric_value == pytest.approx(mine.require_calibration().summary()[result.metric_type]["value"])
    assert huggingface_hub.ModelCard(str(card)).data.to_dict() == card.data.to_dict()


@pytest.mark.parametrize("more", [{"endpoint": NOBODY}, {"HF_HUB_OFFLINE": "1"}])
def test_where_nobody_answers_it_says_so_soon(client, more):
    lines = """
import time
began = time.monotonic()
print(told(lambda: Detector.from_pretrained("them/nowhere")))
print(told(lambda: mine.push_to_hub("me/mine")))
print(time.monotonic() - began)
"""
    loading, sending, seconds = client(lines, **more).splitlines()
    assert loading.startswith("ArtifactError: There is no folder them/nowhere, and as the name of a detector")
    assert sending.startswith("ArtifactError: The detector cannot be sent to me/mine on the hub: ")
    assert "the network" in loading
    assert "the network" in sending
    assert float(seconds) < 10  # the library alone asks six times, and takes 25 s


def test_what_was_loaded_once_is_there_when_nobody_answers(client):
    loading = 'print(Detector.from_pretrained("me/mine").name)'
    client(f'mine.push_to_hub("me/mine")\n{loading}')
    began = time.monotonic()
    assert client(loading, endpoint=NOBODY) == "made up"
    assert time.monotonic() - began < 20
