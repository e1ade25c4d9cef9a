"""Every verb that writes, under every fault: what was there is intact or the new is whole, and a rerun succeeds."""

import shutil
from pathlib import Path

import pytest

from tests.faults.calls import Ended, judged, limit_files, obey_modes
from tests.faults.columns import COLUMNS, column
from tests.faults.place import Place
from tests.faults.system_calls import POSSIBLE, disk_full_from, kill_at, no_directory_fsync
from tests.faults.writing_verbs import EVERYTHING, READERS, VERBS, read_all

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="forks, and judges system calls of Linux on x86-64")


def spread(number: int, over: int) -> list[int]:
    """Return so many numbers below another, evenly spread, with the first and the last."""
    return sorted({*(over * part // number for part in range(number)), over - 1})


def test_every_verb_is_in_the_matrix() -> None:
    assert {name.partition(",")[0] for name in VERBS} == EVERYTHING - READERS


def test_an_exception_names_its_column_and_says_why() -> None:
    assert all(title in COLUMNS and why for verb in VERBS.values() for title, why in verb.without.items())


@column("killed")
def test_killed_at_a_call_that_changes_a_file(name: str, place: Place, times, figures) -> None:
    new = place.fill()
    calls = place.count_calls()
    kills = spread(times(2, 60), calls)
    for turn, number in enumerate(kills):
        ended = place.run(judged(place.work, kill_at(number)))
        assert ended.code == -9, ended.said
        place.check(new)
        if turn % 2 or number == kills[-1]:  # else the next one finds what this one left
            place.finish(new)
            place.restore()
    figures(f"SIGKILL of {name} at calls that change a file", calls=calls, kills=len(kills))


@column("disk_full")
def test_a_full_disk(name: str, place: Place, times, figures) -> None:
    new = place.fill()
    calls = place.count_calls()
    sizes = spread(times(1, 12), place.largest)
    places = spread(times(1, 30), calls)
    for fault in [limit_files(size) for size in sizes] + [judged(place.work, disk_full_from(at)) for at in places]:
        ended = place.run(fault)
        place.check_told(ended, new)
        if ended.code == 0:
            place.restore()
    place.finish(new)
    figures(f"a full disk under {name}", calls=calls, full_from=len(places), limits=len(sizes))


@column("twice")
def test_run_twice_at_once(name: str, place: Place) -> None:
    new = place.fill()
    both: list[Ended] = [call.end() for call in [place.call(), place.call()]]
    assert any(ended.code == 0 for ended in both), both
    assert all(ended.code == 0 or ended.is_one_line for ended in both), both
    assert place.verb.read(place.out) == new
    place.check(new)
    place.check_tidy()


@column("source_in_target")
def test_a_source_inside_the_target_stays(name: str, place: Place) -> None:
    place.stand()
    source = place.out / "source"
    shutil.copytree(place.source, source)
    before, read = read_all(place.out), read_all(source)
    ended = place.run(source=source)
    assert read_all(source) == read and (ended.code == 0 or ended.is_one_line), ended.said
    assert ended.code == 0 or read_all(place.out) == before, ended.said
    place.check_tidy()


@column("target_in_source")
def test_the_target_inside_the_source_leaves_the_source_as_it_is(name: str, place: Place) -> None:
    before, target = read_all(place.source), place.source / "made"
    place.stand(target)
    ended = place.run(out=target)
    assert ended.code == 0 or ended.is_one_line, ended.said
    assert {path: text for path, text in read_all(place.source).items() if not path.startswith("made/")} == before


@column("link")
def test_a_link_at_the_target_is_never_followed_to_replace_what_is_there(name: str, place: Place) -> None:
    new = place.fill()
    others = place.folder / "others"
    if place.out.exists():
        place.out.rename(others)
    others.mkdir(exist_ok=True)
    if place.verb.makes == "files" and place.old:  # each file is a link
        for path in new:
            (place.out / path).parent.mkdir(parents=True, exist_ok=True)
            (place.out / path).symlink_to(others / path)
    else:
        place.out.symlink_to(others)
    before = read_all(others)
    ended = place.run()
    assert ended.code == 0 or ended.is_one_line, ended.said
    assert read_all(others).items() >= before.items()


@column("others_folder")
def test_a_folder_of_somebody_elses_under_the_name_of_the_work_stays(name: str, place: Place) -> None:
    new = place.fill()
    beside = [place.work / title for title in place.verb.work]
    inside = [(place.out / path).with_name(f".{Path(path).name}.staged") for path in read_all(place.out)]
    for others in beside if place.verb.makes == "directory" else inside:
        others.mkdir()
        (others / "thesis.tex").write_text("mine")
        ended = place.run()
        assert ended.is_one_line or place.verb.read(place.out).items() >= new.items(), ended.said
        assert read_all(others) == {"thesis.tex": b"mine"}
        shutil.rmtree(others)
        place.check(new)
        place.check_tidy()
        place.restore()


@column("no_fsync")
def test_a_file_system_without_fsync_of_directories_is_told_once(name: str, place: Place) -> None:
    new = place.fill()
    ended = place.run(judged(place.work, no_directory_fsync))
    assert ended.code == 0 and ended.said.count("no fsync of directories") <= 1, ended.said
    assert place.verb.read(place.out) == new
    place.check_tidy()


@column("tilde")
def test_a_tilde_is_the_home_directory(name: str, place: Place) -> None:
    home = place.folder / "home/out"
    place.stand(home)
    ended = place.run(out="~/out")
    assert ended.code == 0 and home.is_dir() and not (place.folder / "~").exists(), ended.said


@column("read_only")
def test_a_read_only_target(name: str, place: Place) -> None:
    new = place.fill()
    folders = [folder for folder in (place.out, place.work) if folder.exists()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        ended = place.run(obey_modes)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert ended.is_one_line and place.is_old(), ended.said
    place.check(new)
    place.check_tidy()
