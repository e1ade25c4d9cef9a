"""Publishing a checkpoint directory: scanned, completed, and pushed to the Hub as one commit."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,  # httpx's, in whichever version the Hub's client uses
    LocalTokenNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hf_embeddings.publishing.card import make_card, write_card
from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.publishing.code import write_code
from hf_embeddings.publishing.regions import is_edited
from hf_embeddings.publishing.scan import files_to_publish, scan

CARD = "README.md"
_SIGN_IN = "not signed in; run `hf auth login` or set HF_TOKEN"


@dataclass(frozen=True)
class Published:
    """What was pushed, or would be."""

    repo_id: str
    revision: str
    files: dict[str, int]  # path -> bytes
    kept: list[str] = field(default_factory=list)  # parts of the card that people have edited
    url: str | None = None  # of the commit; None for a dry run
    failings: list[str] = field(default_factory=list)  # why the model is worth nothing, or little, as its run judged


def publish(
    folder: Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str = "main",
    exclude: Iterable[str] = (),
    card: Literal["newest", "local", "hub"] = "newest",
    base_model: str | None = None,
    dry_run: bool = False,
) -> Published:
    """Push a checkpoint directory with its code and card, as one commit: all of it arrives, or nothing.

    Args:
        folder: a directory that `from_pretrained` loads. Its card and code are brought up to date in place.
        repo_id: USER/NAME.
        private: create the repository as a private one.
        revision: branch; made from `main` where it is missing.
        exclude: patterns of paths to leave out, such as `checkpoint-*`.
        card: which card to go on from where both were edited: the one here or the one on the Hub.
        base_model: id of the model that this one was made from; None: as the directory says.
        dry_run: scan and count, without writing or asking the network.

    Raises:
        ValueError: the directory is no checkpoint, holds what must not be published, or contradicts the Hub.
        OSError: the Hub refused or the connection broke; nothing of this push is visible there then.
    """
    checkpoint = Checkpoint(folder)
    if not checkpoint.shapes:
        raise ValueError(f"{folder}: no *.safetensors in it; save the model with save_pretrained first")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        raise ValueError(
            f"{folder}: no tokenizer in it, without which its card's snippets fail; save it there with "
            "tokenizer.save_pretrained, or push the model alone with model.push_to_hub"
        )
    exclude = [pattern for given in exclude for pattern in (given, f"{given.rstrip('/')}/*")]
    _refuse_findings(folder, files_to_publish(folder, exclude))
    if dry_run:
        local = folder / CARD
        _, kept = make_card(
            checkpoint, local.read_text(encoding="utf-8") if local.exists() else None, repo_id, base_model
        )
        return Published(repo_id, revision, _sizes(folder, exclude), kept, failings=checkpoint.failings)
    api = HfApi(library_name="hf-embeddings")
    try:
        head = _prepare_repository(api, repo_id, private=private, revision=revision)
        _take_card(api, folder, repo_id, revision, card)
        write_code(folder)
        kept = write_card(folder, repo_id, base_model)
        files = _sizes(folder, exclude)
        commit = api.create_commit(
            repo_id,
            [CommitOperationAdd(path, folder / path) for path in files],
            commit_message="Publish with hf-embeddings",
            revision=revision,
            parent_commit=head,
        )
    except HfHubHTTPError as error:
        if error.response.status_code == 401:
            raise ValueError(f"{api.endpoint}: {_SIGN_IN}; {repo_id} must be yours") from None
        raise
    except LocalTokenNotFoundError:
        raise ValueError(f"{api.endpoint}: {_SIGN_IN}") from None
    except (HTTPError, RuntimeError) as error:  # the client wraps what ends an upload in a RuntimeError
        raise OSError(
            f"{api.endpoint}: the connection broke ({error or type(error).__name__}); nothing was published, run the "
            "same command again"
        ) from None
    return Published(repo_id, revision, files, kept, commit.commit_url, checkpoint.failings)


def _refuse_findings(folder: Path, paths: list[str]) -> None:
    if findings := scan(folder, paths):
        shown = "; ".join(f"{path}: {reason}" for path, reason in findings[:5])
        more = f"; and {len(findings) - 5} more" if len(findings) > 5 else ""
        patterns = dict.fromkeys(f"--exclude '{path.split('/')[0]}'" for path, _ in findings)
        raise ValueError(
            f"{folder}: not published, {len(findings)} of its files must not be: {shown}{more}. Remove them, or leave "
            f"them out with {' '.join(patterns)}"
        )


def _sizes(folder: Path, exclude: list[str]) -> dict[str, int]:
    return {path: (folder / path).stat().st_size for path in files_to_publish(folder, exclude)}


def _prepare_repository(api: HfApi, repo_id: str, *, private: bool, revision: str) -> str:
    """Create what is missing of repository and branch; return the commit to build on."""
    try:
        known = api.repo_info(repo_id)
        if private and not known.private:
            raise ValueError(
                f"{repo_id}: --private given, but it exists and is public; make it private in its settings"
            )
    except RepositoryNotFoundError:
        api.create_repo(repo_id, private=private, exist_ok=True)
    try:
        return str(api.repo_info(repo_id, revision=revision).sha)
    except RevisionNotFoundError:
        api.create_branch(repo_id, branch=revision)
        return str(api.repo_info(repo_id, revision=revision).sha)


def _take_card(api: HfApi, folder: Path, repo_id: str, revision: str, choice: str) -> None:
    """Put the card to go on from into the directory: the one on the Hub, where only that one was edited."""
    try:
        remote = Path(api.hf_hub_download(repo_id, CARD, revision=revision)).read_text(encoding="utf-8")
    except RemoteEntryNotFoundError:
        return
    local = folder / CARD
    here = local.read_text(encoding="utf-8") if local.exists() else None
    if here == remote or choice == "local":
        return
    edited_here, edited_there = here is not None and is_edited(here), is_edited(remote)
    if choice == "newest" and edited_here and edited_there:
        raise ValueError(
            f"{CARD}: edited here and on the Hub; bring both together in {local} and pass --card local, or pass "
            "--card hub"
        )
    if choice == "hub" or edited_there:
        local.write_text(remote, encoding="utf-8", newline="\n")
