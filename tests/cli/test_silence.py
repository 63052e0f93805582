"""`tocsin silence`: made, listed, moved and ended at a terminal; taken from an Alertmanager and given to one, each once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.clients.alertmanager import Alertmanager
from bot.clients.http import Http
from bot.domain.redaction import Redactor
from bot.domain.silencing import Wish
from bot.entry.silence_exchange import GivenOut, given_out, read_file, taken_in
from bot.entry.silence_words import wish as spoken
from bot.errors import BadInput
from bot.store import open_store
from tests.clients.served import answering
from tests.support.alertmanager_api import AlertmanagerApi
from tests.support.command_line import Ended, folder, tocsin
from tests.support.house import ADA, BOB, House


@dataclass(frozen=True)
class Place:
    config: Path

    def silence(self, *words: str) -> Ended:
        return tocsin("silence", *words, "--config", self.config)

    def done(self, *words: str) -> str:
        ended = self.silence(*words)
        assert ended.code == 0, ended.text
        return ended.out.strip()

    def listed(self, *words: str) -> list[dict[str, Any]]:
        """Those that people made; the example configuration has a window of its own."""
        return [one for one in json.loads(self.done("list", "--json", *words)) if one["number"]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(folder(tmp_path))


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """For what is refused: it leaves nothing behind."""
    return Place(folder(tmp_path_factory.mktemp("silences")))


ADD = ("add", "alertname=Broken", 'service=~"a|b"', "--for", "2h", "--reason", "replacing disks", "--as", "ada")


@pytest.mark.slow  # several commands, each of which builds the program
def test_one_is_made_listed_moved_and_ended(place: Place) -> None:
    said = place.done(*ADD)
    assert said.startswith("silence 1 until ")
    assert 'it hides alertname="Broken",service=~"a|b". Nothing that fires now matches.' in said
    ours, theirs = json.loads(place.done("list", "--json"))
    assert (ours["starts_at"] is None, theirs["starts_at"] is None) in ((False, True), (True, False)), (
        "one was always there"
    )
    (before,) = place.listed()
    assert (before["state"], before["author"]) == ("active", "Ada Lovelace (command line)")
    listed = place.done("list").splitlines()
    assert listed[0].startswith("1: active until ")
    assert listed[0].endswith(" UTC, hides 0 alerts now")
    assert listed[1:3] == ['    alertname="Broken",service=~"a|b"', "    Ada Lovelace (command line): replacing disks"]
    assert max(map(len, listed)) <= 80, "as wide as a terminal"
    place.done("extend", "1", "1h", "--as", "bob")
    place.done("shorten", "1", "30m", "--as", "bob")
    (after,) = place.listed()
    moved = datetime.fromisoformat(after["ends_at"]) - datetime.fromisoformat(before["ends_at"])
    assert moved == timedelta(minutes=30)
    assert 'service=~"a|b"' in place.done("show", "1").splitlines()
    assert json.loads(place.done("show", "1", "--json"))["number"] == 1
    assert place.done("end", "1", "--as", "ada") == "silence 1 is over."
    assert place.listed() == []
    assert [one["state"] for one in place.listed("--all")] == ["expired"]
    again = place.silence("end", "1", "--as", "ada")
    assert (again.code, again.err.startswith("silence 1 ended at ")) == (2, True)


@pytest.mark.slow  # several commands, each of which builds the program
def test_maintenance_in_the_future_and_recurring(place: Place) -> None:
    day = (datetime.now(UTC) + timedelta(days=3)).date()
    place.done(
        "add", "service=db", "--maintenance", "--from", f"{day}T22:00", "--for", "3h", "--zone", "Europe/Berlin",
        "--reason", "moving the rack", "--as", "ada",
    )  # fmt: skip
    place.done(
        "add", "service=db,team=shop", "--every", "sat,sun 02:00-04:00", "--zone", "Europe/Berlin", "--reason", "backups", "--as", "ada"
    )  # fmt: skip
    once, weekly = place.listed()
    assert (once["kind"], once["state"]) == ("maintenance", "pending")
    begins = datetime.fromisoformat(once["starts_at"])
    assert begins.hour in (20, 21), "22:00 in Berlin, in UTC"
    assert datetime.fromisoformat(once["ends_at"]) - begins == timedelta(hours=3)
    assert weekly["windows"] == [{"days": ["sat", "sun"], "between": ["02:00", "04:00"], "zone": "Europe/Berlin"}]
    assert (weekly["ends_at"], weekly["matchers"]) == (None, ['service="db"', 'team="shop"'])
    told = next(line for line in place.done("list").splitlines() if line.startswith("2: "))
    assert told.startswith(("2: not now, every sat,sun 02:00", "2: active every sat,sun 02:00")), (
        "active only within its times"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "Broken", "--for", "2h", "--reason", "x"), "'Broken' is not a matcher; write it like"),
        (("add", 'a=~".*"', "--for", "2h", "--reason", "x"), "would hide everything"),
        (("add", "a=b", "--for", "2h"), "Say it with --reason"),
        (("add", "a=b", "--for", "soon", "--reason", "x"), "Not a duration: 'soon'"),
        (("add", "a=b", "--until", "soon", "--reason", "x"), "'soon' is not a time"),
        (("add", "a=b", "--for", "1h", "--zone", "Berlin", "--reason", "x"), "--zone: no time zone is called 'Berlin'"),
        (("add", "a=b", "--for", "1h", "--incident", "INC-9", "--reason", "x"), "There is no INC-9"),
        (("add", "a=b", "--every", "caturday", "--reason", "x"), "'caturday' is not a day"),
        (("export", "nowhere"), "must be an http:// or https:// address, like http://alertmanager:9093"),
        (("import", "/nowhere/at.all"), "is neither an address (http://…) nor a file that can be read"),
        (("import", "http://user:pw@127.0.0.1:9"), "must not carry a user or password"),
    ],
)
def test_what_is_wrong_is_said(unchanged: Place, words: tuple[str, ...], said: str) -> None:
    ended = unchanged.silence(*words, *(("--as", "ada") if words[0] == "add" else ()))
    assert ended.code == 2, ended.text
    assert said in ended.err
    assert "Traceback" not in ended.text


@pytest.mark.slow  # several commands, each of which builds the program
def test_who_does_it_must_be_known_and_the_number_must_be_one(place: Place) -> None:
    place.done(*ADD)
    assert "--as 'adda': nobody in oncall.yaml is called that" in place.silence("end", "1", "--as", "adda").err
    assert "There is no silence 7" in place.silence("end", "7", "--as", "ada").err
    assert place.silence("show", "0").code == 2
    assert [one["state"] for one in place.listed()] == ["active"]


def exported(**update: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": "0ca9b8e5-b5b0-4a8c-a7a1-1f4a3f3e4d5c",
        "status": {"state": "active"},
        "matchers": [{"name": "alertname", "value": "Broken", "isRegex": False, "isEqual": True}],
        "startsAt": (now - timedelta(hours=1)).isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "updatedAt": now.isoformat(),
        "createdBy": "carol",
        "comment": "the rack moves",
        **update,
    }


@pytest.mark.slow  # several commands, each of which builds the program
def test_a_file_of_amtool_is_taken_over_once(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "silences.json"
    everything = [{"name": "a", "value": ".*", "isRegex": True}]
    over = {"state": "expired"}
    file.write_text(
        json.dumps([exported(), exported(id="two", status=over), exported(id="three", matchers=everything)])
    )
    ended = place.silence("import", str(file))
    assert ended.code == 1, "one was refused"
    assert "0ca9b8e5-b5b0-4a8c-a7a1-1f4a3f3e4d5c (silence 1): new" in ended.out
    assert "three: refused: " in ended.out
    assert ended.out.splitlines()[-1] == "1 new, 1 refused"
    (found,) = place.listed()
    assert (found["author"], found["reason"]) == ("carol", "the rack moves")
    assert found["imported_from"] == "0ca9b8e5-b5b0-4a8c-a7a1-1f4a3f3e4d5c"
    assert place.silence("import", str(file)).out.splitlines()[-1] == "1 same, 1 refused"
    assert place.listed() == [found]


def test_a_file_that_is_none_is_said(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "silences.json"
    file.write_text("{}")
    ended = place.silence("import", str(file))
    assert ended.code == 2
    assert f"{str(file)!r}: not a list of silences of Alertmanager's API v2" in ended.err


@pytest.mark.parametrize("text", ["", "{}", "[{}]", "nonsense", "[" * 5000, "[1e999]"])
def test_what_is_no_list_of_silences_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not a list of silences"):
        read_file(text.encode())


# ------------------------------------------------------------------------------------------------ from and to an Alertmanager


@dataclass
class Both:
    house: House
    api: AlertmanagerApi
    alertmanager: Alertmanager

    async def out(self) -> list[tuple[str, str]]:
        return [(one.ref, one.outcome) for one in await given_out(self.house.silences, self.alertmanager)]

    async def into(self) -> list[tuple[str, str]]:
        _, found = await self.alertmanager.silences([])
        return [(one.ref[:3], one.outcome) for one in await taken_in(self.house.silences, found)]


@pytest.fixture
async def both() -> AsyncIterator[Both]:
    api, house = AlertmanagerApi(), House(await open_store("memory://"))
    api.now = house.clock()
    async with answering(api.answer) as server, Http(Redactor()) as http:
        yield Both(house, api, Alertmanager(http, server))


def wish(name: str = "Broken", **update: Any) -> Wish:
    return Wish(matchers=(f"alertname={name}", 'service!~"a|b"'), reason="disks", lasts=timedelta(hours=2), **update)


async def test_ours_are_made_there_once_and_follow_their_ends(both: Both) -> None:
    house = both.house
    await house.silences.create(wish(), ADA)
    await house.silences.create(wish("Other", starts_at=house.clock() + timedelta(hours=1), kind="maintenance"), BOB)
    assert await both.out() == [("silence 1", "new"), ("maintenance 2", "new")]
    one, _ = both.api.silences.values()
    assert (one["createdBy"], one["comment"]) == ("Ada", "disks (tocsin silence 1)")
    assert one["matchers"][1] == {"name": "service", "value": "a|b", "isRegex": True, "isEqual": False}
    writes = both.api.writes
    assert await both.out() == [("silence 1", "same"), ("maintenance 2", "same")]
    assert both.api.writes == writes
    await house.silences.extend(1, timedelta(hours=1), ADA)
    assert await both.out() == [("silence 1", "moved"), ("maintenance 2", "same")]
    assert len(both.api.silences) == 2, "its end was moved in place"
    await house.silences.end(1, ADA)
    assert await both.out() == [("maintenance 2", "same")]


async def test_theirs_are_made_here_once_and_do_not_go_back(both: Both) -> None:
    both.api.silences["abc"] = {
        **exported(id="abc", startsAt=both.api.now.isoformat()),
        "endsAt": (both.api.now + timedelta(hours=1)).isoformat(),
    }
    assert await both.into() == [("abc", "new")]
    assert await both.into() == [("abc", "same")]
    assert await both.out() == [("silence 1", "skipped")]
    both.api.silences["abc"]["endsAt"] = (both.api.now + timedelta(hours=3)).isoformat()
    assert await both.into() == [("abc", "moved")]
    (listed,) = await both.house.silences.listing()
    assert listed.silence.ends_at == both.api.now + timedelta(hours=3)


async def test_ours_that_went_there_do_not_come_back_as_others(both: Both) -> None:
    await both.house.silences.create(wish(), ADA)
    await both.out()
    assert [outcome for _, outcome in await both.into()] == ["same"]
    assert len(await both.house.silences.listing()) == 1


async def test_a_number_of_another_tocsin_is_not_taken_for_ours(both: Both) -> None:
    await both.house.silences.create(wish(), ADA)
    both.api.silences["abc"] = {
        **exported(id="abc", comment="theirs (tocsin silence 1)", startsAt=both.api.now.isoformat()),
        "endsAt": (both.api.now + timedelta(hours=1)).isoformat(),
    }
    assert await both.out() == [("silence 1", "new")]
    assert len(both.api.silences) == 2


async def test_what_alertmanager_does_not_know_or_want_is_said(both: Both) -> None:
    from_words = Wish(matchers=("a=b",), reason="x", lasts=timedelta(hours=2))
    await both.house.silences.create(from_words, ADA)
    both.api.now += timedelta(days=1)  # its clock is ahead: the end is in the past there
    found = await given_out(both.house.silences, both.alertmanager)
    assert [(one.ref, one.outcome) for one in found] == [("silence 1", "refused")]
    assert isinstance(found[0], GivenOut)
    assert found[0].why


async def test_recurring_ones_stay_here(both: Both) -> None:
    await both.house.silences.create(
        spoken("a=b every sat 02:00-04:00 backups", "maintenance", both.house.clock()), ADA
    )
    assert await both.out() == [("maintenance 1", "skipped")]
