"""Detectors on the Hugging Face hub (extra `hub`): a repository of models that holds the files of a detector folder.

A detector is data: what comes from the hub is checked like any other folder, and no code of it is run.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from dupdetect.artifacts import MANIFEST, MODEL_CARD, required_files, written_files
from dupdetect.errors import ArtifactError, DupdetectError, InputError, MissingExtraError

__all__ = ["Downloaded", "answers", "download", "upload"]

_ANYONES = (".gitattributes", ".gitignore", "LICENSE", MODEL_CARD)


class Downloaded(NamedTuple):
    """folder: of a detector, in the cache of the hub's library; None where the repository has none.  reached: whether
    the hub was asked and answered, or need not be asked: where it did not, asking for more is a waste of minutes."""

    folder: Path | None
    reached: bool


def answers(repo_id: str, revision: str | None) -> bool:
    """Tell whether the hub answers when it is asked about a repository, once; True where its library is not there to
    ask, which other messages say more about."""
    try:
        _ask_once(_library("The hub"), repo_id, revision)
    except MissingExtraError:
        return True
    except _NoAnswerError:
        return False
    return True


def download(repo_id: str, *, revision: str | None, local_files_only: bool) -> Downloaded:
    """Return the folder of a detector that is on the hub, or that there is none.

    Only the files that the detector needs are fetched, all of one commit. A repository that holds a model of another
    kind has no detector; nor, as far as can be told, has one that cannot be reached and is in the cache without one.

    Raises ArtifactError for what is not there or cannot be reached, MissingExtraError.
    """
    hub = _library(f"There is no folder {repo_id}, and a detector of this name on the hub")

    def fetched(name: str, revision: str | None) -> Path:
        return Path(hub.hf_hub_download(repo_id, name, revision=revision, local_files_only=local_files_only))

    with _explained(
        f"There is no folder {repo_id}, and as the name of a detector on the hub it cannot be loaded",
        "Check the name, the network, and for what is private the login (hf auth login).",
    ):
        try:
            if not local_files_only and not isinstance(_cached(hub, repo_id, revision), str):
                _ask_once(hub, repo_id, revision)
            manifest = fetched(MANIFEST, revision)
        except (hub.errors.LocalEntryNotFoundError, _NoAnswerError):
            if not (Path(hub.constants.HF_HUB_CACHE) / f"models--{repo_id.replace('/', '--')}" / "snapshots").is_dir():
                raise
            return Downloaded(None, reached=False)
        except hub.errors.EntryNotFoundError:
            return Downloaded(None, reached=True)
        folder = manifest.parent  # named after the commit
        for name in required_files(folder):
            fetched(name, folder.name)
        return Downloaded(folder, reached=True)


def upload(
    folder: Path, repo_id: str, *, private: bool, revision: str | None, token: str | None, commit_message: str
) -> str:
    """Commit the detector in `folder` to a repository, which is made if it is not there; return the commit's address.

    Files of an earlier detector that this one has not are deleted in the same commit; what else is there stays.

    Raises InputError for a repository that holds something else, or is public where a private one is wanted;
    ArtifactError when the hub refuses or cannot be reached; MissingExtraError.
    """
    hub = _library("The hub")
    with _explained(
        f"The detector cannot be sent to {repo_id} on the hub",
        "Check the name (OWNER/NAME), the network, and the login (hf auth login) or token.",
    ):
        api = hub.HfApi(token=token)
        # None leaves it to the owner's settings; False would make public what an organisation keeps private.
        repo_id = api.create_repo(repo_id, private=private or None, exist_ok=True).repo_id
        if private and not api.repo_info(repo_id).private:
            raise InputError(f"{repo_id} is there already, and public. Make it private first, or name another.")
        new_branch = revision is not None and revision not in {ref.name for ref in api.list_repo_refs(repo_id).branches}
        there = api.list_repo_files(repo_id, revision=None if new_branch else revision)
        earlier: tuple[str, ...] = ()
        if MANIFEST in there:
            manifest = api.hf_hub_download(repo_id, MANIFEST, revision=None if new_branch else revision)
            earlier = written_files(Path(manifest).parent)
        elif others := sorted(set(there).difference(_ANYONES)):
            raise InputError(f"{repo_id} holds {others[0]}, and no detector. Name another repository.")
        if new_branch:
            api.create_branch(repo_id, branch=revision)
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            revision=revision,
            commit_message=commit_message,
            delete_patterns=[pattern for name in map(glob.escape, earlier) for pattern in (name, f"{name}/*")],
        )
        return str(commit.commit_url)


class _NoAnswerError(Exception):
    """Nobody answers at the address of the hub, or what answers is no hub."""


def _cached(hub: ModuleType, repo_id: str, revision: str | None) -> object:
    """Return the path of the manifest in the cache of the library, and something else where it is not there."""
    return hub.try_to_load_from_cache(repo_id, MANIFEST, revision=revision)


def _ask_once(hub: ModuleType, repo_id: str, revision: str | None) -> None:
    """Raise _NoAnswerError if the hub does not answer. The library would find out too, but asks six times, for 25 s."""
    try:
        hub.get_hf_file_metadata(hub.hf_hub_url(repo_id, MANIFEST, revision=revision))
    except hub.errors.HfHubHTTPError:  # an answer: what it means is for the library to say
        pass
    except Exception as error:
        raise _NoAnswerError(str(error).strip() or type(error).__name__) from error


def _library(needed_for: str) -> ModuleType:
    try:
        import_module("huggingface_hub.errors")
        return import_module("huggingface_hub")
    except ImportError:
        raise MissingExtraError("hub", needed_for, "huggingface_hub") from None


@contextmanager
def _explained(what: str, todo: str) -> Iterator[None]:
    """Turn whatever the library and what it talks HTTP with raise into one ArtifactError."""
    try:
        yield
    except DupdetectError:
        raise
    except Exception as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ArtifactError(f"{what}: {first_line.rstrip('.')}. {todo}") from error
