"""What is copied out of a directory lies in it."""

from pathlib import Path

import pytest

from hf_embeddings.files.links import refuse_links_out


@pytest.mark.parametrize("place", ["notes", "1_Pooling/deep/notes"])
@pytest.mark.parametrize("kind", ["file outside", "directory outside", "directory inside", "its own parent", "nothing"])
def test_a_link_that_would_bring_in_something_else_is_refused_by_name(place: str, kind: str, tmp_path: Path) -> None:
    model, home = tmp_path / "model", tmp_path / "home"
    (model / "1_Pooling/deep").mkdir(parents=True)
    home.mkdir()
    (home / "key").write_text("private")
    targets = {"file outside": home / "key", "directory outside": home, "directory inside": model / "1_Pooling"}
    targets |= {"its own parent": model, "nothing": home / "gone"}
    (model / place).symlink_to(targets[kind])
    with pytest.raises(ValueError, match=f"{place}: a link to .*; put the file in its place, or remove the link"):
        refuse_links_out(model, [place.split("/")[0]])


def test_links_within_the_directory_and_of_the_cache_of_the_hub_are_its_own(tmp_path: Path) -> None:
    repository = tmp_path / "models--user--name"
    snapshot = repository / "snapshots/0123"
    (snapshot / "1_Pooling").mkdir(parents=True)
    (repository / "blobs").mkdir()
    for name in ("a", "b"):
        (repository / "blobs" / name).write_text(name)
    (snapshot / "vocab.txt").symlink_to("../../blobs/a")
    (snapshot / "1_Pooling/config.json").symlink_to("../../../blobs/b")
    (snapshot / "same.txt").symlink_to("vocab.txt")
    names = ["vocab.txt", "1_Pooling", "same.txt", "missing.txt"]
    refuse_links_out(snapshot, names)
    (tmp_path / "cache").symlink_to(snapshot)  # the whole directory may be given by a link
    refuse_links_out(tmp_path / "cache", names)
    (repository / "blobs").rename(tmp_path / "elsewhere")
    (repository / "blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="vocab.txt: a link to"):
        refuse_links_out(snapshot, names)


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ValueError, match="loop: a link to loop") as refused:
        refuse_links_out(tmp_path, ["loop"])
    assert "\n" not in str(refused.value)
