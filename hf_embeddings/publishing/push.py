"""Publishing a checkpoint directory: scanned, completed, and pushed to the Hub as one commit."""

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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

from hf_embeddings.files.atomic import replace_text
from hf_embeddings.files.links import is_snapshot
from hf_embeddings.files.reading import read_text
from hf_embeddings.loading.saved_model import TOKENIZER_FILES, check_saved, read_config, read_tokenizer
from hf_embeddings.loading.static_model import load_static
from hf_embeddings.publishing.card import make_card, write_card
from hf_embeddings.publishing.checkpoint import Checkpoint
from hf_embeddings.publishing.code import write_code
from hf_embeddings.publishing.regions import is_edited
from hf_embeddings.uploads.listing import Finding, Uploads, list_uploads

CARD = "README.md"
_SHOWN = 5  # files that a refusal names
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
    included: dict[str, str] = field(default_factory=dict)  # files that went because they are named -> what they are
    changed: dict[str, str] = field(default_factory=dict)  # records that went in other words -> what is changed


def publish(
    folder: Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str = "main",
    exclude: Iterable[str] = (),
    include: Iterable[str] = (),
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
        include: patterns of paths to publish though their kind is not known to be harmless.
        card: which card to go on from where both were edited: the one here or the one on the Hub.
        base_model: id of the model that this one was made from; None: as the directory says.
        dry_run: scan and count, without writing or asking the network.

    Raises:
        ValueError: the directory is no checkpoint, or does not load as it is; it holds what must not be published, or
            contradicts the Hub.
        OSError: the Hub refused or the connection broke; nothing of this push is visible there then.
    """
    checkpoint = Checkpoint(folder)
    _check_complete(folder, checkpoint)
    exclude = [pattern for root in exclude for pattern in (root, f"{root.rstrip('/')}/*")]
    include = tuple(include)
    uploads = _list(folder, exclude, include)
    if dry_run:
        local = folder / CARD
        _, edited_parts = make_card(checkpoint, read_text(local) if local.exists() else None, repo_id, base_model)
        return _published(repo_id, revision, uploads, edited_parts, None, checkpoint.failings)
    api = HfApi(library_name="hf-embeddings")
    with _refusals_in_words(api, repo_id):
        head = _prepare_repository(api, repo_id, private=private, revision=revision)
        _take_card(api, folder, repo_id, revision, card)
        if not checkpoint.is_static:  # which needs no code of ours
            write_code(folder)
        edited_parts = write_card(folder, repo_id, base_model)
        uploads = _list(folder, exclude, include)  # with the card and the code that are there now
        commit = api.create_commit(
            repo_id,
            [CommitOperationAdd(path, content) for path, content in uploads.files.items()],
            commit_message="Publish with hf-embeddings",
            revision=revision,
            parent_commit=head,
        )
    return _published(repo_id, revision, uploads, edited_parts, commit.commit_url, checkpoint.failings)


def _check_complete(folder: Path, checkpoint: Checkpoint) -> None:
    """Refuse a directory that its own card's snippets could not load; they would load what is loaded here."""
    if is_snapshot(folder):
        raise ValueError(
            f"{folder}: a snapshot in the cache of the Hub, expected a directory of your own, as its card and code are "
            "rewritten; copy it (cp -rL) and publish the copy"
        )
    if not checkpoint.shapes:
        if (folder / "onnx").is_dir():
            raise ValueError(
                f"{folder}: holds ONNX files only, expected a model directory; copy onnx/ into the one that they were "
                "exported from, and publish that"
            )
        raise ValueError(f"{folder}: no *.safetensors in it; save the model with save_pretrained first")
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ValueError(
            f"{folder}: no tokenizer in it, without which its card's snippets fail; save it there with "
            "tokenizer.save_pretrained, or push the model alone with model.push_to_hub"
        )
    if checkpoint.is_static:
        load_static(folder, read_config(folder))
        read_tokenizer(folder)
    else:
        check_saved(folder)


@contextmanager
def _refusals_in_words(api: HfApi, repo_id: str) -> Iterator[None]:
    """Say in one line why the Hub refused, or that the connection broke."""
    try:
        yield
    except HfHubHTTPError as error:
        if error.response.status_code == 401:
            raise ValueError(f"{api.endpoint}: {_SIGN_IN}; {repo_id} must be yours") from None
        raise
    except LocalTokenNotFoundError:
        raise ValueError(f"{api.endpoint}: {_SIGN_IN}") from None
    except (HTTPError, RuntimeError) as error:  # the client wraps what ends an upload in a RuntimeError
        raise OSError(
            f"{api.endpoint}: the connection broke ({error or type(error).__name__}); nothing was published, rerun the "
            "command"
        ) from None


def _list(folder: Path, exclude: Iterable[str], include: Iterable[str]) -> Uploads:
    """Return what goes up.

    Raises:
        ValueError: a file must not, or is of no known kind and not named.
    """
    uploads = list_uploads(folder, exclude=exclude, include=include)
    if findings := [*uploads.refused, *uploads.unknown]:
        cures = "Change or remove them" if uploads.refused else "Remove them"
        cures += f", or leave them out with {_options('--exclude', findings)}"
        if uploads.unknown:
            cures += f"; what you know to be harmless goes with {_options('--include', uploads.unknown)}"
        items = "; ".join(f"{path}: {reason}" for path, reason in findings[:_SHOWN])
        more = f"; and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else ""
        raise ValueError(f"{folder}: not published, {len(findings)} of its files must not be: {items}{more}. {cures}")
    return uploads


def _options(option: str, findings: list[Finding]) -> str:
    """Return options that name files, each folder at the top once."""
    patterns = dict.fromkeys(
        path if "/" not in path else path.rpartition("/")[0] + "/*" if option == "--include" else path.split("/")[0]
        for path, _ in findings
    )
    words = " ".join(f"{option} {shlex.quote(pattern)}" for pattern in list(patterns)[:_SHOWN])
    return words + (" ..." if len(patterns) > _SHOWN else "")


def _published(
    repo_id: str, revision: str, uploads: Uploads, edited_parts: list[str], url: str | None, failings: list[str]
) -> Published:
    reasons = dict(uploads.included)
    return Published(repo_id, revision, uploads.sizes(), edited_parts, url, failings, reasons, uploads.changed)


def _prepare_repository(api: HfApi, repo_id: str, *, private: bool, revision: str) -> str:
    """Create what is missing of repository and branch; return the commit to build on."""
    try:
        repository = api.repo_info(repo_id)
        if private and not repository.private:
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
        remote = read_text(api.hf_hub_download(repo_id, CARD, revision=revision))
    except RemoteEntryNotFoundError:
        return
    local = folder / CARD
    here = read_text(local) if local.exists() else None
    if here == remote or choice == "local":
        return
    edited_here, edited_there = here is not None and is_edited(here), is_edited(remote)
    if choice == "newest" and edited_here and edited_there:
        raise ValueError(
            f"{CARD}: edited here and on the Hub; bring both together in {local} and pass --card local, or pass "
            "--card hub"
        )
    if choice == "hub" or edited_there:
        replace_text(local, remote)
