"""`tocsin alert`: explain a payload without a trace, tell why from the log, send a test for real."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest

from tests.support.command_line import Ended, changed, folder, tocsin

PAYLOADS = Path(__file__).parents[1] / "plugins" / "sources" / "alertmanager"
AM = ("--source", "alertmanager")


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For what leaves nothing behind."""
    return folder(tmp_path_factory.mktemp("alerts"))


def alert(config: Path, *words: str | Path) -> Ended:
    return tocsin("alert", *words, "--config", config)


def done(config: Path, *words: str | Path) -> str:
    ended = alert(config, *words)
    assert ended.code == 0, ended.text
    return ended.out


def state(config: Path) -> Path:
    return config.parents[1] / "state"


def payload(place: Path, *alerts: dict[str, object]) -> Path:
    path = place / "payload.json"
    path.write_text(json.dumps({"version": "4", "alerts": list(alerts)}), encoding="utf-8")
    return path


def one(status: str = "firing", **labels: str) -> dict[str, object]:
    ends = "2026-11-21T13:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z"
    return {"status": status, "labels": labels, "startsAt": "2026-11-21T12:00:00Z", "endsAt": ends}


# ------------------------------------------------------------------------------------------------ explain


def test_a_payload_is_explained_without_a_database_and_leaves_none(unchanged: Path) -> None:
    told = done(unchanged, "explain", PAYLOADS / "firing-1.json", *AM)
    assert "ElevatedErrorRate firing since" in told
    assert "=> opened: nothing is open for this group" in told
    assert 'route: root/0 (team="shop")' in told
    assert "pages at once: " in told
    assert "pages after 5m: Bob Kahn (policy shop, level 2)" in told
    assert "through: slack" in told
    assert told.rstrip().endswith("Nothing was changed, and nobody was paged.")
    assert not state(unchanged).exists()


@pytest.mark.slow  # it builds the program
@pytest.mark.parametrize("name", sorted(path.name for path in PAYLOADS.glob("*.json")))
def test_whatever_alertmanager_has_sent_is_explained(unchanged: Path, name: str) -> None:
    told = done(unchanged, "explain", PAYLOADS / name, *AM)
    count = len(json.loads((PAYLOADS / name).read_text(encoding="utf-8"))["alerts"])
    assert sum("because" in line and not line.startswith(" ") for line in told.splitlines()) == count
    assert not state(unchanged).exists()


def test_a_resolve_says_that_there_is_nothing_to_resolve(unchanged: Path) -> None:
    told = done(unchanged, "explain", PAYLOADS / "resolved-2.json", *AM)
    assert "nothing to resolve" in told
    assert "pages" not in told


@pytest.mark.parametrize(
    ("body", "words", "said"),
    [
        ("not json", AM, "payload: source 'alertmanager' (alertmanager) cannot read it: body: line 1"),
        ("", AM, "JSON"),
        ('{"version": "4", "alerts": []}', AM, "no alert in it for source 'alertmanager'"),
        ("{}", AM, "alerts"),
        ("{}", (), "say which source it is for: --source NAME (sources: alertmanager, ci)"),
        ("{}", ("--source", "alertmanger"), "did you mean"),
        ("{}", (*AM, "-H", "nonsense"), "--header 'nonsense': wanted NAME:VALUE"),
    ],
)
def test_what_cannot_be_explained_is_said(
    unchanged: Path, tmp_path: Path, body: str, words: tuple[str, ...], said: str
) -> None:
    path = tmp_path / "payload"
    path.write_text(body, encoding="utf-8")
    ended = alert(unchanged, "explain", path, *words)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.text


def test_a_payload_that_is_not_there_or_too_large_is_said(unchanged: Path, tmp_path: Path) -> None:
    assert "No such file" in alert(unchanged, "explain", tmp_path / "none", *AM).err
    assert "cannot be read" in alert(unchanged, "explain", tmp_path, *AM).err
    large = tmp_path / "large"
    large.write_bytes(b" " * (6 * 1024 * 1024))
    assert "larger than" in alert(unchanged, "explain", large, *AM).err


@pytest.mark.slow  # it builds the program
def test_another_source_reads_it_in_its_own_way(unchanged: Path, tmp_path: Path) -> None:
    path = tmp_path / "ci.json"
    path.write_text(
        json.dumps({"pipeline": {"id": 7, "name": "deploy", "result": "failed"}, "service": "cart"}), encoding="utf-8"
    )
    assert "(ci/" in done(unchanged, "explain", path, "--source", "ci")


@pytest.mark.slow  # it builds the program
def test_secrets_and_what_would_steer_the_terminal_are_not_shown(unchanged: Path, tmp_path: Path) -> None:
    name = "Bad\x1b[31m\nname"
    path = payload(tmp_path, one(alertname=name, team="shop", token="password=hunter2hunter2"))
    told = done(unchanged, "explain", path, *AM)
    assert "\x1b" not in told
    assert "hunter2" not in told
    assert sum("because" in line for line in told.splitlines()) == 1


@pytest.mark.slow  # it builds the program
def test_many_alerts_are_cut_and_counted_and_shown_when_asked_for(unchanged: Path, tmp_path: Path) -> None:
    path = payload(tmp_path, *(one(alertname="A", team="shop", pod=f"p{n}") for n in range(30)))
    told = done(unchanged, "explain", path, *AM)
    assert "and 10 more: 10 joined. --all shows each." in told
    assert "have the numbers that they would get" in told
    assert done(unchanged, "explain", path, *AM, "--all").count("JOINED, because") == 29


# ------------------------------------------------------------------------------------------------ why, and test


def test_without_a_database_why_says_so_and_makes_none(unchanged: Path) -> None:
    ended = alert(unchanged, "why", "INC-1")
    assert ended.code == 2
    assert "there is no file" in ended.err
    assert not state(unchanged).exists()


CRITICAL = ("-l", "team=shop", "-l", "severity=critical")


@pytest.mark.slow  # several commands, each of which builds the program
def test_a_test_is_sent_told_and_ended(tmp_path: Path) -> None:
    config = folder(tmp_path)
    sent = done(config, "test", *CRITICAL)
    assert "Sent: INC-1 is opened." in sent
    assert "NO SERVER RUNS HERE" in sent
    assert "tocsin_test=true" in sent
    assert "Sent: repeated (INC-1), so nobody is paged" in done(config, "test", *CRITICAL)
    other = done(config, "test", *CRITICAL, "-l", "service=cart")
    assert "Sent: INC-2 is opened." in other, "other labels are another alert"

    told = done(config, "why", "INC-1")
    assert "INC-1 [TEST] Tocsin test: triggered" in told
    assert "OPENED, because" in told
    assert "No page has left yet." in told
    assert "REPEATED" not in told
    assert "INC-1 [TEST]" in done(config, "why", "1"), "no alert is called 1"
    assert "Nothing is held" in done(config, "why") == done(config, "why", "held")
    assert "No alert is called 'nonsense'" in alert(config, "why", "nonsense").err

    ended = done(config, "test", *CRITICAL, "--resolve")
    assert "Sent: its end; INC-1 is resolved when none of its alerts fires any more." in ended
    assert "End it" not in ended
    assert "[TEST] Tocsin test: resolved" in done(config, "why", "INC-1")
    assert "nobody is paged: it is resolved already (INC-1)" in done(config, "test", *CRITICAL, "--resolve")
    assert "Nothing was ended: an end needs the same labels" in done(config, "test", "-l", "service=other", "--resolve")


@pytest.mark.slow
def test_a_recorded_payload_is_sent_as_if_it_fired_now_and_says_whether_a_server_runs(tmp_path: Path) -> None:
    config = folder(tmp_path)
    state(config).mkdir()
    with (state(config) / "tocsin.pid").open("w", encoding="ascii") as file:
        file.write("4711\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        sent = done(config, "test", PAYLOADS / "firing-1.json", *AM)
    assert "The server that runs here opens the channel and pages now." in sent
    assert "(alertmanager/test-" in sent
    assert "INC-1 is resolved" in done(config, "test", PAYLOADS / "firing-1.json", *AM, "--resolve")
    assert "Sent: INC-1 is reopened." in done(config, "test", PAYLOADS / "firing-1.json", *AM)
    foretold = done(config, "explain", PAYLOADS / "firing-1.json", *AM)
    assert "OPENED" in foretold, "the test is in nobody's way"


@pytest.mark.slow
def test_a_test_that_is_held_does_not_promise_a_page(tmp_path: Path) -> None:
    config = folder(tmp_path)
    changed(config / "tocsin.yaml", "  # wait: 30s ", "  wait: 30s #")
    sent = done(config, "test", *CRITICAL)
    assert "Sent: it is held (waiting), so nobody is paged now: its group waits 30s." in sent
    assert "opens the channel" not in sent
    held = done(config, "why")
    assert "over before its group" not in held
    assert "its group waits" in held
