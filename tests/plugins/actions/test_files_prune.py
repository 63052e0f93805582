"""files.prune: which files it takes, that a plan stays as it is while it is read, and that nothing else is ever removed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bot.clients import folders
from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.domain.redaction import Redactor
from bot.errors import BadInput, Drifted, TryLater
from bot.plugins.actions.files_prune import Params, Plugin, cut_off
from tests.support.clock import HandClock

NOW = datetime(2026, 3, 20, 15, 40, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOW)


@pytest.fixture
def action(clock: HandClock) -> Plugin:
    return Plugin(Kit(None, None, Http(str), Redactor(), clock=clock))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Ten days of logs: app.1.log is a day old, app.10.log ten."""
    folder = tmp_path.resolve() / "logs"
    folder.mkdir()
    for days in range(1, 11):
        written(folder / f"app.{days}.log", days, size=days)
    return folder


def written(path: Path, days: float, size: int = 5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    at = (NOW - timedelta(days=days)).timestamp()
    os.utime(path, (at, at))
    return path


def use(folder: Path, **params: Any) -> Params:
    return Params.model_validate({"folder": str(folder), "older_than": "P7D", **params})


async def planned(action: Plugin, params: Params) -> list[str]:
    state = await action.look(params)
    return [file[0] for file in action.plan(state, params).want.get("files", [])]


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


# ------------------------------------------------------------------------------------------------ what is old


async def test_old_files_are_removed_and_a_second_run_plans_nothing(action: Plugin, logs: Path) -> None:
    params = use(logs)
    state = await action.look(params)
    plan = action.plan(state, params)
    assert plan.lines() == [
        f"  {logs}/*",
        "- old files: 3 (27 B)",
        "+ old files: removed   (not changed for 7 d)",
        "- app.10.log: 10 B, changed 2026-03-10 15:40 UTC",
        "+ app.10.log: removed",
        "- app.9.log: 9 B, changed 2026-03-11 15:40 UTC",
        "+ app.9.log: removed",
        "- app.8.log: 8 B, changed 2026-03-12 15:40 UTC",
        "+ app.8.log: removed",
    ]
    assert action.verify(state, params) == f"3 old files are left in {logs}"
    result = await action.do(plan, params, "run-1")
    assert (result["removed"], result["bytes"], result["left"]) == (3, 27, [])
    assert result["output"] == "removed 3 files (27 B)"
    assert names(logs) == {f"app.{days}.log" for days in range(1, 8)}
    again = await action.look(params)
    assert not action.plan(again, params)
    assert action.verify(again, params) is None


@pytest.mark.parametrize(
    ("params", "left"),
    [
        ({"keep": 8}, 8),
        ({"keep": 10}, 10),
        ({"older_than": "P1D"}, 1),
        ({"pattern": "app.1*.log"}, 9),
        ({"pattern": "app.1*.log", "keep": 1}, 9),
        ({"pattern": "app.1*.log", "keep": 2}, 10),
        ({"pattern": "*.gz"}, 10),
        ({"free_below": 1.0}, 7),
    ],
)
async def test_pattern_age_and_number_decide(action: Plugin, logs: Path, params: dict[str, Any], left: int) -> None:
    wanted = use(logs, **params)
    plan = action.plan(await action.look(wanted), wanted)
    if plan:
        await action.do(plan, wanted, "run-1")
    assert len(names(logs)) == left


async def test_nothing_is_removed_while_enough_of_the_disk_is_free(action: Plugin, logs: Path) -> None:
    params = use(logs, free_below=1e-9)
    state = await action.look(params)
    assert state["count"] == 3 and state["enough_free"]
    assert 0 < state["free"] <= 1
    assert not action.plan(state, params)
    assert action.verify(state, params) is None


async def test_folders_below_are_looked_into_only_when_asked(action: Plugin, logs: Path) -> None:
    written(logs / "a" / "b" / "deep.log", 30)
    assert "a/b/deep.log" not in await planned(action, use(logs))
    params = use(logs, recursive=True)
    assert "a/b/deep.log" in await planned(action, params)
    await action.do(action.plan(await action.look(params), params), params, "run-1")
    assert not (logs / "a" / "b" / "deep.log").exists()
    assert (logs / "a" / "b").is_dir()


async def test_hidden_and_unprintable_names_are_left_alone(action: Plugin, logs: Path) -> None:
    written(logs / ".keep", 30)
    written(logs / "two\nlines", 30)
    os.close(os.open(os.fsencode(logs) + b"/b\xffd", os.O_CREAT | os.O_WRONLY))
    os.utime(os.fsencode(logs) + b"/b\xffd", (0, 0))
    assert set(await planned(action, use(logs))) == {"app.8.log", "app.9.log", "app.10.log"}
    assert await planned(action, use(logs, pattern=".*")) == [".keep"]


async def test_more_files_than_a_run_may_remove_are_refused(action: Plugin, logs: Path) -> None:
    with pytest.raises(BadInput, match=r"3 files in .*logs are to go; at most 2 may in one run: narrow `pattern`"):
        await action.look(use(logs, most=2))
    assert len(names(logs)) == 10


async def test_thirty_are_named_and_all_are_in_the_digest(action: Plugin, logs: Path) -> None:
    for number in range(50):
        written(logs / f"old.{number:02}", 20 + number / 100)
    params = use(logs, pattern="old.*")
    first = action.plan(await action.look(params), params)
    assert len(first.diffs) == 31
    assert first.diffs[0].before == "50 (250 B)"
    written(logs / "old.00", 20, size=6)  # the youngest, so not among those that are named
    assert "old.00" not in [diff.what for diff in first.diffs]
    assert action.plan(await action.look(params), params).digest != first.digest


# ------------------------------------------------------------------------------------------------ time


async def test_a_plan_stays_the_same_while_the_cut_off_has_not_moved(
    action: Plugin, logs: Path, clock: HandClock
) -> None:
    written(logs / "soon.log", 7.2)
    params = use(logs)
    digest = action.plan(await action.look(params), params).digest
    clock.forward(hours=8, minutes=19)
    assert action.plan(await action.look(params), params).digest == digest
    clock.forward(minutes=1)  # midnight, UTC
    assert "soon.log" in await planned(action, params)


@pytest.mark.parametrize(
    ("older_than", "before"),
    [
        (timedelta(days=7), datetime(2026, 3, 13, tzinfo=UTC)),
        (timedelta(days=1), datetime(2026, 3, 19, 15, tzinfo=UTC)),
        (timedelta(hours=6), datetime(2026, 3, 20, 9, tzinfo=UTC)),
        (timedelta(hours=1), datetime(2026, 3, 20, 14, 40, tzinfo=UTC)),
        (timedelta(minutes=90), datetime(2026, 3, 20, 14, 10, tzinfo=UTC)),
        (timedelta(minutes=5), datetime(2026, 3, 20, 15, 35, tzinfo=UTC)),
    ],
)
def test_the_cut_off_is_a_round_time_and_never_younger_than_asked(older_than: timedelta, before: datetime) -> None:
    assert cut_off(older_than, NOW) == before
    assert cut_off(older_than, NOW + timedelta(seconds=59)) == before
    for minutes in range(0, 3000, 7):
        now = NOW + timedelta(minutes=minutes)
        assert cut_off(older_than, now) <= now - older_than


# ------------------------------------------------------------------------------------------------ drift


async def test_what_has_changed_since_is_left_and_named(action: Plugin, logs: Path) -> None:
    params = use(logs)
    plan = action.plan(await action.look(params), params)
    written(logs / "app.8.log", 8, size=100)  # another size
    (logs / "app.9.log").unlink()
    written(logs / "app.9.log", 9, size=9)  # another file of the same name, size and time
    written(logs / "other", 1)
    result = await action.do(plan, params, "run-1")
    assert result["removed"] == 1
    assert result["left"] == ["app.9.log", "app.8.log"]
    assert "left, since they have changed meanwhile" in result["output"]
    assert (logs / "app.8.log").exists()


async def test_a_file_that_was_written_to_is_left(action: Plugin, logs: Path) -> None:
    params = use(logs, pattern="app.10.log")
    plan = action.plan(await action.look(params), params)
    os.utime(logs / "app.10.log", (NOW.timestamp(), NOW.timestamp()))
    with pytest.raises(Drifted, match=r"all files in .* have changed since they were looked at; none is removed"):
        await action.do(plan, params, "run-1")
    assert (logs / "app.10.log").exists()


async def test_what_is_gone_already_counts_as_done(action: Plugin, logs: Path) -> None:
    """As after a crash between the removal and its record."""
    params = use(logs)
    plan = action.plan(await action.look(params), params)
    (logs / "app.10.log").unlink()
    result = await action.do(plan, params, "run-1")
    assert (result["removed"], result["output"]) == (2, "removed 2 files (17 B); 1 were gone already")
    again = await action.do(plan, params, "run-1")
    assert again["output"] == "removed 0 files (0 B); 3 were gone already"


async def test_another_folder_in_its_place_is_drift(action: Plugin, logs: Path) -> None:
    params = use(logs)
    plan = action.plan(await action.look(params), params)
    logs.rename(logs.with_name("before"))
    logs.mkdir()
    written(logs / "app.10.log", 10)
    with pytest.raises(Drifted, match="is another folder than the one that was looked at"):
        await action.do(plan, params, "run-1")
    assert names(logs) == {"app.10.log"}


async def test_what_takes_too_long_is_taken_up_again(
    action: Plugin, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = use(logs)
    plan = action.plan(await action.look(params), params)
    monkeypatch.setattr(folders, "REMOVE_SECONDS", -1.0)
    with pytest.raises(TryLater, match="0 of 3 files are removed so far") as late:
        await action.do(plan, params, "run-1")
    assert late.value.uncertain
    assert action.repeatable(params)
    monkeypatch.undo()
    assert (await action.do(plan, params, "run-1"))["removed"] == 3


async def test_files_that_it_may_not_remove_are_named(
    action: Plugin, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    params = use(logs)
    plan = action.plan(await action.look(params), params)
    monkeypatch.setattr(os, "unlink", refuse)  # root, who often runs tests, may remove anything
    with pytest.raises(BadInput, match=r"0 files are removed; 3 cannot be: app\.10\.log: Permission denied"):
        await action.do(plan, params, "run-1")


# ------------------------------------------------------------------------------------------------ links and other places


async def test_links_are_neither_removed_nor_followed(action: Plugin, logs: Path, tmp_path: Path) -> None:
    outside = tmp_path.resolve() / "outside"
    precious = written(outside / "precious.log", 100)
    (logs / "link.log").symlink_to(precious)
    (logs / "way-out").symlink_to(outside)
    os.utime(logs / "link.log", (0, 0), follow_symlinks=False)
    os.mkfifo(logs / "pipe")
    os.utime(logs / "pipe", (0, 0))
    params = use(logs, recursive=True)
    assert set(await planned(action, params)) == {"app.8.log", "app.9.log", "app.10.log"}
    await action.do(action.plan(await action.look(params), params), params, "run-1")
    assert precious.exists() and (logs / "link.log").is_symlink() and (logs / "pipe").exists()


async def test_a_folder_that_becomes_a_link_leads_nowhere(action: Plugin, logs: Path, tmp_path: Path) -> None:
    outside = tmp_path.resolve() / "outside"
    inner = written(logs / "sub" / "old.log", 100)
    params = use(logs, recursive=True, pattern="old.log")
    plan = action.plan(await action.look(params), params)
    (logs / "sub").rename(outside)  # the very same file, but elsewhere
    (logs / "sub").symlink_to(outside)
    with pytest.raises(Drifted, match="none is removed"):
        await action.do(plan, params, "run-1")
    assert (outside / inner.name).exists()


async def test_a_path_with_a_link_in_it_is_refused(action: Plugin, logs: Path, tmp_path: Path) -> None:
    link = tmp_path.resolve() / "current"
    link.symlink_to(logs)
    with pytest.raises(BadInput, match=r"has a symbolic link in it \(current\); write the folder that it leads to"):
        await action.look(use(link))
    written(logs / "sub" / "old.log", 100)
    with pytest.raises(BadInput, match="has a symbolic link in it"):
        await action.look(use(link / "sub"))
    params = use(logs)
    plan = action.plan(await action.look(params), params)
    with pytest.raises(BadInput, match="has a symbolic link in it"):
        await action.do(plan, use(link), "run-1")
    assert len(names(logs)) == 11


@pytest.mark.parametrize("name", ["bind mount", "Sicherung für später", "a\\b"])
async def test_other_file_systems_and_mounts_are_not_entered(
    action: Plugin, logs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    written(logs / name / "old.log", 100)
    table = tmp_path / "mountinfo"
    escaped = f"{logs}/{name}".replace("\\", "\\134").replace(" ", "\\040")
    table.write_text(f"36 35 98:0 /srv {escaped} rw,noatime master:1 - ext4 /dev/root rw\n")
    params = use(logs, recursive=True)
    assert f"{name}/old.log" in await planned(action, params)
    monkeypatch.setattr(folders, "MOUNTS", table)
    assert f"{name}/old.log" not in await planned(action, params)


async def test_a_folder_that_is_none_is_said(action: Plugin, logs: Path) -> None:
    with pytest.raises(BadInput, match=r"there is no folder .*/logs/none"):
        await action.look(use(logs / "none"))
    with pytest.raises(BadInput, match=r"app\.1\.log cannot be opened: Not a directory"):
        await action.look(use(logs / "app.1.log"))


async def test_a_folder_with_far_too_much_in_it_is_refused(
    action: Plugin, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MOST_ENTRIES", 9)
    with pytest.raises(BadInput, match="more than 9 files and folders in it; choose a folder further down"):
        await action.look(use(logs))
    monkeypatch.undo()
    monkeypatch.setattr(folders, "SCAN_SECONDS", -1.0)
    with pytest.raises(TryLater, match="took longer than"):
        await action.look(use(logs))


# ------------------------------------------------------------------------------------------------ parameters, policy, tests of runbooks


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"folder": "logs"}, "must be an absolute path"),
        ({"folder": "/"}, "at least 2 characters"),
        ({"folder": "//srv"}, "must be written without"),
        ({"folder": "/var/log/.."}, "must be written without"),
        ({"folder": "/var//log"}, "must be written without"),
        ({"folder": "/var/log/"}, "must be written without"),
        ({"folder": "/var/log\0"}, "must be an absolute path"),
        ({"pattern": "*/*"}, "is for names"),
        ({"older_than": "PT10S"}, "greater than or equal to"),
        ({"most": 10_001}, "less than or equal to 10000"),
        ({"free_below": 0}, "greater than 0"),
        ({"force": True}, "Extra inputs"),
    ],
)
def test_bad_parameters_are_refused(given: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Params.model_validate({"folder": "/var/log/shop", "older_than": "P7D", **given})


def test_policy_judges_the_folder_and_two_runs_do_not_prune_it_at_once(action: Plugin) -> None:
    target = action.target(use(Path("/var/log/shop")))
    assert (target.action, target.folder, target.locked) == ("files.prune", "/var/log/shop", "/var/log/shop")
    assert (action.writes, action.observable, action.risk) == (True, True, "high")


def test_facts_plan_as_many_files_and_nothing_after(action: Plugin) -> None:
    params = use(Path("/var/log/shop"), keep=2, free_below=0.1)
    state = action.facts({}, params)
    plan = action.plan(state, params)
    assert str(plan.diffs[0]) == "old files: 3 (3 MB) -> removed (not changed for 7 d, but the newest 2)"
    after = action.after(state, plan, params)
    assert not action.plan(after, params)
    assert action.verify(after, params) is None
    assert action.undo(plan, {}, params) is None
    assert not action.plan(action.facts({"free": 0.1}, params), params)
    assert not action.plan(action.facts({"old": 0}, params), params)
    with pytest.raises(BadInput, match="there is no 'files'"):
        action.facts({"files": 3}, params)


async def test_facts_have_the_shape_of_a_real_look(action: Plugin, logs: Path) -> None:
    real, given = await action.look(use(logs)), action.facts({}, use(logs))
    assert given.keys() == real.keys()
    assert [type(part) for part in given["files"][0]] == [type(part) for part in real["files"][0]]
