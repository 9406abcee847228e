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

from dupdetect.artifacts import MANIFEST, MODEL_CARD, required_files, written_files
from dupdetect.errors import ArtifactError, DupdetectError, InputError, MissingExtraError

__all__ = ["download", "upload"]

_ANYONES = (".gitattributes", ".gitignore", "LICENSE", MODEL_CARD)


def download(repo_id: str, *, revision: str | None, local_files_only: bool) -> Path | None:
    """Return the folder, in the cache of the hub's library, of a detector that is on the hub; None where there is none.

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
            manifest = fetched(MANIFEST, revision)
        except hub.errors.LocalEntryNotFoundError:
            if not (Path(hub.constants.HF_HUB_CACHE) / f"models--{repo_id.replace('/', '--')}" / "snapshots").is_dir():
                raise
            return None
        except hub.errors.EntryNotFoundError:
            return None
        folder = manifest.parent  # named after the commit
        for name in required_files(folder):
            fetched(name, folder.name)
        return folder


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
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if private and not api.repo_info(repo_id).private:
            raise InputError(f"{repo_id} is there already, and public. Make it private first, or name another.")
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        there = api.list_repo_files(repo_id, revision=revision)
        earlier: tuple[str, ...] = ()
        if MANIFEST in there:
            earlier = written_files(Path(api.hf_hub_download(repo_id, MANIFEST, revision=revision)).parent)
        elif others := sorted(set(there).difference(_ANYONES)):
            raise InputError(f"{repo_id} holds {others[0]}, and no detector. Name another repository.")
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            revision=revision,
            commit_message=commit_message,
            delete_patterns=[pattern for name in map(glob.escape, earlier) for pattern in (name, f"{name}/*")],
        )
        return str(commit.commit_url)


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
        raise ArtifactError(f"{what}: {first_line} {todo}") from error
