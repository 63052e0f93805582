"""`tocsin oncall`: what `/oncall` does, at a terminal; calendars to and from others; people from Slack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import icalendar
import pytest
import yaml

from bot.cli.oncall_shown import at_a_terminal
from tests.support.command_line import SECRETS, Ended, changed, folder, tocsin, world

WITH_SECRET = {**SECRETS, "TOCSIN_SECRET": "0123456789abcdef0123456789abcdef"}


@dataclass(frozen=True)
class Place:
    config: Path
    env: Mapping[str, str]

    def oncall(self, *words: str | Path) -> Ended:
        return tocsin("oncall", *words, "--config", self.config, env=self.env)

    def done(self, *words: str | Path) -> str:
        ended = self.oncall(*words)
        assert ended.code == 0, ended.text
        return ended.out.strip()

    def json(self, *words: str | Path) -> Any:
        return json.loads(self.done(*words, "--json"))


def place_in(where: Path, url: str = "http://127.0.0.1:9") -> Place:
    config = folder(where, url)
    changed(
        config / "tocsin.yaml", "  # public_url: https://tocsin.example.com", "  public_url: https://tocsin.example.com"
    )
    changed(config / "tocsin.yaml", "  # secret: env:TOCSIN_SECRET", "  secret: env:TOCSIN_SECRET")
    return Place(config, WITH_SECRET)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return place_in(tmp_path)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """For what is refused or only looks; a page makes its database."""
    return with_database(place_in(tmp_path_factory.mktemp("oncall")))


def with_database(place: Place) -> Place:
    """Whoever only looks does not make one."""
    place.done("recovery", "on", "--as", "bob")
    return place


@pytest.mark.slow  # several commands, each of which builds the program
def test_an_override_is_made_seen_everywhere_and_ended(place: Place) -> None:
    said = place.done("override", "shop", "Bob Kahn", "now", "for", "4h", "because", "dentist", "--as", "ada")
    assert said.startswith("Override 1: Bob Kahn is on call for shop from ")
    assert said.endswith("To take it back: `tocsin oncall override-end 1`")
    (now,) = place.json("now")
    assert now["on_call"] == [{"person": "bob", "name": "Bob Kahn"}]
    assert place.done("now", "shop").startswith("shop: Bob Kahn until ")
    assert "shop: Bob Kahn until " in place.done("who", "shop")
    (listed,) = place.json("overrides")["overrides"]
    lasts = datetime.fromisoformat(listed["ends"]) - datetime.fromisoformat(listed["starts"])
    assert (listed["person"], listed["by"], listed["why"]) == ("bob", "ada", "dentist")
    assert timedelta(hours=3, minutes=59) < lasts <= timedelta(hours=4)
    shifts = place.json("schedule", "shop", "2w")["shifts"]
    assert (shifts[0]["person"], shifts[0]["by"]) == ("bob", "override 1")
    assert "Bob Kahn (override 1)" in place.done("schedule", "shop")
    ended = place.done("override-end", "1", "--as", "chen")
    assert ended.startswith("Override 1 (Bob Kahn, shop) is over.")
    assert place.done("overrides") == "there are no overrides, and no swap waits for an answer"


@pytest.mark.slow  # several commands, each of which builds the program
def test_a_swap_is_asked_for_accepted_and_counts(place: Place) -> None:
    with_database(place)
    turn = next(one for one in place.json("next", "ada") if datetime.fromisoformat(one["starts"]) > datetime.now(UTC))
    starts, ends = turn["starts"], turn["ends"]
    said = place.done("swap", "bob", "shop", starts, ends, "wedding", "--as", "ada")
    assert said.startswith("Swap 1: Bob Kahn is asked to take your turn in shop ")
    assert "`tocsin oncall swap-withdraw 1`" in said
    assert place.done("overrides").startswith("swap 1 shop: Ada Lovelace asks Bob Kahn, ")
    wrong = place.oncall("swap-accept", "1", "--as", "chen")
    assert (wrong.code, wrong.err.strip()) == (2, "Only Bob Kahn can answer swap 1.")
    assert "you are on call for shop instead of Ada Lovelace" in place.done("swap-accept", "1", "--as", "bob")
    shifts = place.json("schedule", "shop", starts, ends)["shifts"]
    assert [(one["person"], one["starts"], one["ends"]) for one in shifts] == [("bob", starts, ends)]
    for answer in ("swap-decline", "swap-withdraw"):
        late = place.oncall(answer, "1", "--as", "ada")
        assert (late.code, late.err.strip()) == (2, "Swap 1 was accepted already.")


@pytest.mark.slow  # several commands, each of which builds the program
def test_ones_own_rules_are_changed_and_listed(place: Place) -> None:
    assert place.done("notify", "critical", "slack", "--as", "ada") == "For critical: slack at once."
    assert (
        place.done("quiet", "22:00-07:00", "info", "--as", "ada")
        == "Quiet every day 22:00 to 07:00 Europe/Berlin for info."
    )
    assert place.done("zone", "europe/berlin", "--as", "ada") == "Times are told to you in Europe/Berlin."
    assert place.done("recovery", "off", "--as", "ada") == "You are not told when it is over."
    own = place.json("contact", "list", "--as", "ada")
    assert own["methods"][0]["key"] == "slack"
    assert own["notify"] == {"critical": [{"method": "slack", "after": 0.0}]}
    shown = place.done("contact", "list", "--as", "ada").splitlines()
    assert shown[0] == "Ada Lovelace:"
    assert "Time zone: Europe/Berlin." in shown
    assert "oncall.yaml again" in place.done("notify", "reset", "--as", "ada")
    assert place.done("quiet", "off", "--as", "ada") == "You have no quiet hours: you are paged at any time."
    tested = place.oncall("test-me", "--as", "ada")
    assert (tested.code, "FAILED  slack direct message" in tested.out) == (1, True), tested.text


@pytest.mark.slow  # several commands, each of which builds the program
def test_somebody_is_paged_for_a_new_incident_and_for_one_that_is_open(place: Place) -> None:
    assert place.done("page", "bob", "the", "tills", "are", "down", "--as", "ada").startswith("INC-1 is open")
    said = place.done("page", "shop", "more", "hands", "--incident", "INC-1", "--as", "ada")
    assert said == "shop is being paged for INC-1."
    listed = json.loads(tocsin("incident", "list", "--json", "--config", place.config, env=place.env).out)
    assert [(one["title"], one["severity"]) for one in listed] == [("the tills are down", "critical")]


@pytest.mark.slow  # several commands, each of which builds the program
def test_what_is_exported_is_what_the_schedule_says_and_can_be_imported(place: Place, tmp_path: Path) -> None:
    with_database(place)
    span = ("2026-10-19T00:00Z", "2027-04-05T00:00Z")  # over both changes of the clocks
    text = place.done("export", "shop", *span)
    shifts = place.json("schedule", "shop", *span)["shifts"]
    assert len(shifts) > 20
    events = [
        (str(one["SUMMARY"]), one["DTSTART"].dt, one["DTEND"].dt) for one in icalendar.Calendar.from_ical(text).events
    ]
    assert events == [_moments(one) for one in shifts]
    file = tmp_path / "shop.ics"
    file.write_text(text.replace("SUMMARY:Chen Ning", "SUMMARY:Chenn Ning", 1), encoding="utf-8")
    back = place.json("import-ical", file, "--schedule", "shop", *span)
    first = next(one for one in shifts if one["person"] == "chen")
    assert [_moments(one) for one in back["shifts"]] == [_moments(one) for one in shifts if one != first]
    (doubt,) = back["doubts"]
    assert "'Chenn Ning' is nobody in oncall.yaml; did you mean" in doubt
    shown = place.done("import-ical", file, "--schedule", "shop", *span)
    assert shown.startswith(f"It would give shop {len(shifts) - 1} shifts in that time:")
    assert "What is in it and fits nobody, or only in part:" in shown
    assert place.done("overrides").startswith("there are no overrides"), "nothing is changed"


def _moments(shift: Mapping[str, Any]) -> tuple[str, datetime, datetime]:
    return shift["name"], datetime.fromisoformat(shift["starts"]), datetime.fromisoformat(shift["ends"])


@pytest.mark.slow  # builds the program, and a workspace
def test_people_come_from_a_slack_group_as_a_block_of_yaml(tmp_path: Path) -> None:
    with world() as practice:
        place = place_in(tmp_path, practice.url)
        block = place.done("import-slack", "#incidents")
    people = yaml.safe_load(block)["people"]
    assert people["priya"] == {
        "name": "Priya Nair",
        "slack": "U0PRIYA",
        "email": "priya@practice.example",
        "zone": "Europe/Berlin",
    }
    assert "U0ADA" not in [one["slack"] for one in people.values()]
    assert "(U0ADA) is there already: ada" in block


@pytest.mark.slow  # several commands, each of which builds the program
def test_looking_says_the_same_for_people_and_for_programs(unchanged: Place) -> None:
    assert unchanged.done("gaps") == "no gaps in the next four weeks, and nothing contradicts itself"
    assert unchanged.json("gaps", "shop") == []
    shares = unchanged.json("fairness", "shop", "2026-10-26T08:00Z", "2026-11-09T08:00Z")["shares"]
    assert {one["person"]: one["hours"] for one in shares} == {"ada": 168.0, "chen": 168.0}
    assert "Chen Ning: 168 h on call (50 %)" in unchanged.done("fairness", "2026-10-26T08:00Z", "2026-11-09T08:00Z")
    mine, theirs = unchanged.json("next", "--as", "ada"), unchanged.json("next", "ada")
    assert [one["starts"] for one in mine] == [one["starts"] for one in theirs]
    assert "shop: Ada Lovelace" in unchanged.done("next", "ada")
    assert unchanged.json("who", "ada")["what"] == "Ada Lovelace"
    said = unchanged.done("calendar", "shop", "--as", "ada").splitlines()
    assert said[0] == "Subscribe to the schedule shop at"
    assert said[1].startswith("https://tocsin.example.com/calendars/schedule/shop.ics?mark=")


@pytest.mark.slow  # several commands, each of which builds the program
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("now", "shp"), "There is no schedule 'shp'; did you mean \"shop\"?"),
        (("who", "adda"), 'no schedule, person, group, policy or service; did you mean "ada"?'),
        (("next",), "say who you are with --as"),
        (("schedule", "shop", "someday"), "'someday' is not a time"),
        (("fairness", "shp", "4w"), 'did you mean "shop"?'),
        (
            ("override", "shop", "bobb", "now", "4h", "--as", "ada"),
            "'bobb' is nobody in oncall.yaml; did you mean \"bob\"?",
        ),
        (("override", "shop", "bob", "whenever", "--as", "ada"), "'whenever' is not a time"),
        (
            ("override", "shop", "bob", "now", "4h", "--as", "addda"),
            "--as 'addda': nobody in oncall.yaml is called that",
        ),
        (("override-end", "9", "--as", "ada"), "There is no override 9. `tocsin oncall overrides` shows"),
        (("swap", "chen", "shp", "now", "4h", "--as", "ada"), 'did you mean "shop"?'),
        (("swap-accept", "9", "--as", "ada"), "There is no swap 9. `tocsin oncall overrides` shows"),
        (("page", "shp", "it", "is", "down", "--as", "ada"), 'did you mean "shop"?'),
        (
            ("page", "policy:shpo", "it", "is", "down", "--as", "ada"),
            "There is no escalation policy 'shpo'; did you mean \"shop\"?",
        ),
        (("page", "bob", "help", "--incident", "seven", "--as", "ada"), "'seven' does not name an incident"),
        (("contact", "add", "sms", "+4915112345678", "--as", "ada"), "No medium beside Slack is set up"),
        (("contact", "verify", "12", "--as", "ada"), "A code has six digits: `tocsin oncall contact verify 123456`"),
        (("contact", "remove", "sms", "--as", "ada"), "You have added no method 'sms'"),
        (("notify", "critcal", "slack", "--as", "ada"), "'critcal' is no severity; did you mean \"critical\"?"),
        (("quiet", "22:00-07:00", "infos", "--as", "ada"), "'infos' is no severity; did you mean \"info\"?"),
        (("zone", "Europe/Berln", "--as", "ada"), 'did you mean "Europe/Berlin"? For example `tocsin oncall zone'),
        (("recovery", "maybe", "--as", "ada"), "Expected `on` or `off`, found 'maybe'."),
        (("test-me", "pigeon", "--as", "ada"), "pigeon"),
        (("calendar", "shp", "--as", "ada"), "'shp' is no schedule; did you mean \"shop\"?"),
        (("export", "shp"), 'did you mean "shop"?'),
        (("import-ical", "/nowhere.ics", "--schedule", "shop"), "/nowhere.ics cannot be read"),
        (("import-ical", "/nowhere.ics", "--schedule", "shp"), 'did you mean "shop"?'),
        (("import-slack", "shop"), "'shop' names no user group"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_wrong_is_said_with_the_nearest(unchanged: Place, words: tuple[str, ...], said: str) -> None:
    ended = unchanged.oncall(*words)
    assert (ended.code, said in ended.err) == (2, True), ended.text
    assert "Traceback" not in ended.err
    assert "/oncall" not in ended.err, "at a terminal nobody types slash commands"


@pytest.mark.parametrize(
    ("slack", "terminal"),
    [
        ("To take it back: `/oncall override end 3`", "To take it back: `tocsin oncall override-end 3`"),
        ("`/oncall swap withdraw 3` takes it back", "`tocsin oncall swap-withdraw 3` takes it back"),
        ("`/oncall swap bob shop …`", "`tocsin oncall swap bob shop …`"),
        ("`/oncall override shop bob now …`", "`tocsin oncall override shop bob now …`"),
        ("write `/oncall`", "write `tocsin oncall`"),
        ("`/incident list` shows", "`tocsin incident list` shows"),
        ("`/incident runs` or", "`/incident runs` or"),
        ("/etc/tocsin/oncall.yaml:3:1: wrong", "/etc/tocsin/oncall.yaml:3:1: wrong"),
        ("/oncall.yaml:3:1: wrong", "/oncall.yaml:3:1: wrong"),
    ],
)
def test_words_name_the_commands_of_a_terminal(slack: str, terminal: str) -> None:
    assert at_a_terminal(slack) == terminal
