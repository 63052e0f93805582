"""What the sections of oncall.yaml become: from YAML to bot.domain.people and bot.domain.escalation."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from bot.config import CalendarConfig, Config, ConfigErrors
from bot.domain.alerted import NAMES
from bot.domain.contact import Method, Notify
from bot.domain.escalation import Condition, Level, Policy
from bot.domain.people import Person
from bot.domain.schedule import Holidays, Hours, Layer, Schedule, on_call
from bot.domain.windows import Window
from tests.config.folder import ENVIRON, ONCALL, TOCSIN, loaded, problems, warnings

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SERVER = 'server: {public_url: "https://t.example", secret: env:SIGN}\n'
MEDIA = (
    SERVER
    + """\
channels:
  mail: {type: smtp, host: a, from: x@y}
  other-mail: {type: smtp, host: b, from: x@y}
  sms: {type: texts, token: env:SMS}
  phone: {type: calls, token: env:SMS}
  teams: {}
"""
)


def wall(text: str) -> datetime:
    """Without a zone: by the clock on the wall."""
    return datetime.fromisoformat(text)


def said(folder: Path, more: str, person: str = "", media: str = MEDIA) -> Config:
    """The good configuration with these sections in oncall.yaml, and this about ada."""
    text = ONCALL.replace("slack: U0ADA", f"slack: U0ADA, {person}" if person else "slack: U0ADA")
    return loaded(
        folder, {"oncall.yaml": text.replace("policies:\n", more + "policies:\n"), "tocsin.yaml": media + TOCSIN}
    )


def ada(folder: Path, person: str, media: str = MEDIA) -> Person:
    return said(folder, "", person, media).directory.people["ada"]


# ------------------------------------------------------------------------------------------------ people


def test_an_address_and_a_phone_are_methods_by_the_first_medium_that_takes_them(tmp_path: Path) -> None:
    assert ada(tmp_path, "email: ada@x, phone: +49 151-1234567").methods == (
        Method(key="mail", medium="mail", address="ada@x"),
        Method(key="sms", medium="sms", address="+491511234567"),
        Method(key="phone", medium="phone", address="+491511234567"),
    )


def test_without_such_media_they_are_none(tmp_path: Path) -> None:
    assert ada(tmp_path, "email: ada@x, phone: +491511234567", media="").methods == ()


def test_methods_of_ones_own_come_first_and_replace_what_follows_from_an_address(tmp_path: Path) -> None:
    text = "email: ada@x, methods: {mail: home@x, teams: 12345, work: {medium: other-mail, address: ada@work}}"
    assert ada(tmp_path, text).methods == (
        Method(key="mail", medium="mail", address="home@x"),
        Method(key="teams", medium="teams", address="12345"),
        Method(key="work", medium="other-mail", address="ada@work"),
    )


@pytest.mark.parametrize("person", ['"+49 151 1234-5678"', '{medium: sms, address: "+49 151.12345678"}'])
def test_a_phone_under_methods_is_kept_as_providers_write_it(tmp_path: Path, person: str) -> None:
    """An answer by SMS says from which number it comes: written otherwise, it would be a stranger's."""
    assert ada(tmp_path, f"methods: {{sms: {person}}}").methods[0] == Method(
        key="sms", medium="sms", address="+4915112345678"
    )


def test_a_template_names_only_what_messages_have(tmp_path: Path) -> None:
    every = "".join(f"{{{{ {name} }}}}" for name in NAMES)
    assert ada(tmp_path, f'template: "{every}{{{{ labels.region }}}}"').template
    text = ONCALL.replace("slack: U0ADA", 'slack: U0ADA, template: "{{ titel }}"')
    (said_so,) = problems(tmp_path, {"oncall.yaml": text})
    assert 'people.ada.template: a template of messages is not given "titel"; did you mean "title"?' in said_so


def test_numbers_are_the_text_that_was_written(tmp_path: Path) -> None:
    """YAML takes a phone number for a number, and would lose its plus."""
    person = ada(
        tmp_path, "phone: +491511234567, methods: {work: {medium: sms, address: +491517654321}, sms: +491510000000}"
    )
    assert [method.address for method in person.methods] == ["+491517654321", "+491510000000", "+491511234567"]


def test_rules_say_by_what_and_when_for_each_severity(tmp_path: Path) -> None:
    person = ada(
        tmp_path, "phone: +491511234567, notify: {critical: [slack, {sms: 3m}, {phone: 5m}], default: [slack]}"
    )
    assert person.notify == {
        "critical": (
            Notify(method="slack"),
            Notify(method="sms", after=timedelta(minutes=3)),
            Notify(method="phone", after=timedelta(minutes=5)),
        ),
        "": (Notify(method="slack"),),
    }


def test_what_else_is_said_of_a_person(tmp_path: Path) -> None:
    person = ada(tmp_path, 'zone: Europe/Berlin, recovery: no, template: "{{ incident }}"')
    assert (person.zone, person.recovery, person.template) == ("Europe/Berlin", False, "{{ incident }}")
    usual = ada(tmp_path, "")
    assert (usual.zone, usual.recovery, usual.template, usual.notify) == ("", True, "", {})


def test_groups_and_media_are_known_by_name(tmp_path: Path) -> None:
    directory = said(tmp_path, "groups: {payments: [ada, bob]}\n").directory
    assert directory.groups == {"payments": ("ada", "bob")}
    assert directory.media == {
        "slack": "slack",
        "mail": "email",
        "other-mail": "email",
        "sms": "sms",
        "phone": "call",
        "teams": "chat",
        "log": "log",
    }
    assert directory.resolve("group:payments", NOW) == ("person:ada", "person:bob")


# ------------------------------------------------------------------------------------------------ schedules

SCHEDULES = """\
calendars:
  office: {url: "https://c.example/office.ics", zone: Europe/Berlin}
  school: {file: school.ics}
  here: {url: "http://127.0.0.1:8000/a.ics"}
schedules:
  nights:
    zone: Europe/Berlin
    tell: ops
    slack_group: S0NIGHTS
    gaps: fine
    layers:
      - name: base
        people: [ada, [ada, bob]]
        every: 1d
        starts: 2026-01-05T18:00
        until: 2027-01-04T18:00
        hours: [{days: [mon, fri], between: ["18:00", "08:00"]}, {days: [sun]}]
        holidays: {country: DE, subdivision: BY}
        on_holidays: only
      - {calendar: office}
      - {calendar: school, hours: [{between: ["08:00", "09:00"]}]}
"""


def test_a_schedule_has_its_layers(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/school.ics").touch()
    config = said(tmp_path, SCHEDULES)
    base = Layer(
        name="base",
        turns=(("ada",), ("ada", "bob")),
        starts=wall("2026-01-05T18:00"),
        every=timedelta(days=1),
        until=wall("2027-01-04T18:00"),
        hours=(Hours(days=("mon", "fri"), between=(time(18), time(8))), Hours(days=("sun",))),
        holidays=Holidays(country="DE", subdivision="BY"),
        on_holidays="only",
    )
    assert config.directory.schedules["nights"] == Schedule(
        key="nights",
        zone="Europe/Berlin",
        layers=(
            base,
            Layer(name="layer 2", feed="office"),
            Layer(name="layer 3", feed="school", hours=(Hours(between=(time(8), time(9))),)),
        ),
        slack_group="S0NIGHTS",
        tell="ops",
        gaps_are_meant=True,
    )


def test_calendars_have_an_address_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/school.ics").touch()
    calendars = said(tmp_path, SCHEDULES).calendars
    assert calendars["school"] == CalendarConfig("school", None, tmp_path / "conf/school.ics", "UTC")
    office, here = calendars["office"], calendars["here"]
    assert office.url is not None
    assert here.url is not None
    assert (office.url.reveal(), office.zone) == ("https://c.example/office.ics", "Europe/Berlin")
    assert here.url.reveal() == "http://127.0.0.1:8000/a.ics"


def test_the_address_of_a_calendar_can_be_a_secret(tmp_path: Path) -> None:
    config = said(tmp_path, "calendars: {own: {url: env:BEAT}}\n")
    url = config.calendars["own"].url
    assert url is not None
    assert url.reveal() == ENVIRON["BEAT"]
    assert ENVIRON["BEAT"] not in repr(config.calendars)
    assert url in config.secrets


@pytest.mark.parametrize(
    ("starts", "zone", "wanted"),
    [
        ("2026-07-06T09:00, zone: Europe/Berlin", "Europe/Berlin", "2026-07-06T09:00"),
        ("2026-07-06 09:00, zone: Europe/Berlin", "Europe/Berlin", "2026-07-06T09:00"),
        ("2026-07-06T09:00:00Z, zone: Europe/Berlin", "Europe/Berlin", "2026-07-06T11:00"),
        ("2026-07-06T09:00:00+02:00", "UTC", "2026-07-06T07:00"),
    ],
)
def test_a_turn_begins_by_the_clock_on_the_wall_of_its_zone(
    tmp_path: Path, starts: str, zone: str, wanted: str
) -> None:
    text = ONCALL.replace("2026-01-05T09:00:00Z", starts)
    schedule = loaded(tmp_path, {"oncall.yaml": text}).directory.schedules["shop"]
    assert (schedule.zone, schedule.layers[0].starts) == (zone, wall(wanted))


def test_a_hand_over_stays_at_its_time_of_day_when_the_clocks_change(tmp_path: Path) -> None:
    text = ONCALL.replace("2026-01-05T09:00:00Z", "2026-01-05T09:00, zone: Europe/Berlin")
    shop = loaded(tmp_path, {"oncall.yaml": text}).directory.schedules["shop"]
    before, after = datetime(2026, 7, 6, 6, 59, tzinfo=UTC), datetime(2026, 7, 6, 7, 0, tzinfo=UTC)
    assert (on_call(shop, before), on_call(shop, after)) == (("bob",), ("ada",))


@pytest.mark.parametrize("written", ["off", '"off"', "no"])
def test_off_is_off_with_and_without_quotes(tmp_path: Path, written: str) -> None:
    text = ONCALL.replace("T09:00:00Z", f"T09:00:00Z, holidays: {{country: DE}}, on_holidays: {written}")
    layer = loaded(tmp_path, {"oncall.yaml": text}).directory.schedules["shop"].layers[0]
    assert (layer.on_holidays, layer.holidays) == ("off", Holidays(country="DE"))


# ------------------------------------------------------------------------------------------------ policies

POLICIES = """\
groups: {all: [ada]}
alarm: [medium:teams, person:bob]
policies:
  ops:
    levels: [{targets: [channel:ops]}]
  shop:
    levels:
      - targets: [schedule:shop, rotation:shop, group:all, medium:teams]
        round_robin: true
        when:
          severities: [critical, error]
          hours: [{days: [sat, sun], zone: Europe/Berlin}]
          more_than: 5
          within: 1h
      - {targets: [person:bob], when: {more_than: 1}}
      - {targets: [person:ada], timeout: 1m}
    repeat: 2
    acknowledged: {remind: 30m, expires: 1h}
"""


def test_a_policy_has_levels_with_conditions(tmp_path: Path) -> None:
    text = ONCALL.partition("policies:")[0] + POLICIES
    config = loaded(tmp_path, {"oncall.yaml": text, "tocsin.yaml": MEDIA + TOCSIN})
    weekend = Window(days=("sat", "sun"), zone="Europe/Berlin")
    assert config.policies["shop"] == Policy(
        key="shop",
        levels=(
            Level(
                targets=("schedule:shop", "rotation:shop", "group:all", "medium:teams"),
                round_robin=True,
                when=Condition(
                    hours=(weekend,),
                    severities=frozenset({"critical", "error"}),
                    more_than=5,
                    within=timedelta(hours=1),
                ),
            ),
            Level(targets=("person:bob",), when=Condition(more_than=1)),
            Level(targets=("person:ada",), timeout=timedelta(minutes=1)),
        ),
        repeat=2,
        remind_after=timedelta(minutes=30),
        expires_after=timedelta(hours=1),
    )
    assert config.last_resort == ("medium:teams", "person:bob")
    assert config.policies["ops"] == Policy(key="ops", levels=(Level(targets=("channel:ops",)),))


# ------------------------------------------------------------------------------------------------ between the files


@pytest.mark.parametrize(
    ("person", "says"),
    [
        ("methods: {sms: 0151 1}", 'methods.sms: not a phone number: "0151 1"; write it with'),
        (
            "methods: {work: {medium: phone, address: x}}",
            'methods.work.address: not a phone number: "x"; write it with',
        ),
        ("methods: {mail: ada}", 'methods.mail: not an e-mail address: "ada"'),
        (
            "phone: +491511234567, notify: {error: [sns]}",
            'notify.error[0]: no method of ada is called "sns"; did you mean "sms"? (methods: slack, sms, phone)',
        ),
        (
            "methods: {team: x}",
            'methods.team: no medium is called "team"; did you mean "teams"? (media: slack, mail, other-mail, sms, phone, teams, log); for',
        ),
    ],
)
def test_methods_fit_the_media_that_are_set_up(tmp_path: Path, person: str, says: str) -> None:
    files = {
        "oncall.yaml": ONCALL.replace("slack: U0ADA", f"slack: U0ADA, {person}"),
        "tocsin.yaml": MEDIA + TOCSIN,
    }
    [found] = problems(tmp_path, files)
    assert found.partition(": people.ada.")[2].startswith(says)


def test_of_media_that_could_not_be_read_only_the_mistake_itself_is_told(tmp_path: Path) -> None:
    files = {
        "oncall.yaml": ONCALL.replace("person:bob", "person:bob, medium:teams").replace(
            "slack: U0ADA", "slack: U0ADA, methods: {teams: ada}"
        ),
        "tocsin.yaml": "channels: {teams: {per_minute: -1}}\n" + TOCSIN,
    }
    assert problems(tmp_path, files) == [
        "tocsin.yaml:1:32: channels.teams.per_minute: wanted at least 0, found the number -1"
    ]
    assert [one.partition(":")[0] for one in problems(tmp_path, files | {"tocsin.yaml": "slack: ["})] == ["tocsin.yaml"]


def test_media_that_somebody_uses_give_no_warning(tmp_path: Path) -> None:
    oncall = ONCALL.replace("slack: U0ADA", "email: ada@x, phone: +491511234567, slack: U0ADA")
    oncall = oncall.replace("person:bob", "person:bob, medium:teams").replace(
        "policies:", "alarm: [medium:other-mail]\npolicies:"
    )
    assert warnings(tmp_path, {"oncall.yaml": oncall, "tocsin.yaml": MEDIA + TOCSIN}) == []


def test_somebody_with_a_phone_alone_can_be_paged(tmp_path: Path) -> None:
    oncall = ONCALL.replace("slack: U0ADA", "phone: +491511234567")
    media = SERVER + "channels: {sms: {type: texts, token: env:SMS}}\n"
    assert warnings(tmp_path, {"oncall.yaml": oncall, "tocsin.yaml": media + TOCSIN}) == [
        "oncall.yaml:2:3: people.ada: has no Slack id (slack: U…), so cannot approve anything in Slack"
    ]


# ------------------------------------------------------------------------------------------------ gaps


def gaps(folder: Path, more: str) -> list[str]:
    text = ONCALL.replace("2026-01-05T09:00:00Z", f"2026-01-05T09:00, zone: Europe/Berlin{more}")
    return warnings(folder, {"oncall.yaml": text}, now=NOW)


def test_times_without_anybody_in_the_next_weeks_are_told(tmp_path: Path) -> None:
    found = gaps(tmp_path, ", hours: [{days: [mon, tue, wed, thu, fri]}]")
    assert found == [
        "oncall.yaml:5:3: rotations.shop: nobody is on call from 2026-11-21 13:00 to 2026-11-23 00:00 (Europe/Berlin), and 4 more times "
        "in the 28 days from now; if that is meant, add gaps: fine"
    ]


def test_an_end_is_a_gap_from_then_on(tmp_path: Path) -> None:
    [found] = gaps(tmp_path, ", until: 2026-12-07T09:00")
    assert "nobody is on call from 2026-12-07 09:00 to 2026-12-19 13:00 (Europe/Berlin); if that is meant" in found


@pytest.mark.parametrize("more", ["", ", gaps: fine, hours: [{days: [mon]}]"])
def test_nothing_is_said_when_there_is_none_or_it_is_meant(tmp_path: Path, more: str) -> None:
    assert gaps(tmp_path, more) == []


def test_nothing_is_said_of_a_schedule_with_a_calendar_that_nobody_has_read_yet(tmp_path: Path) -> None:
    more = 'calendars: {office: {url: "https://c.example/a.ics"}}\nschedules: {days: {zone: UTC, layers: [{calendar: office}]}}\n'
    text = ONCALL.replace("policies:\n", more + "policies:\n").replace("person:bob", "schedule:days")
    assert warnings(tmp_path, {"oncall.yaml": text}, now=NOW) == []


def test_a_mistake_elsewhere_does_not_stop_the_look_ahead(tmp_path: Path) -> None:
    text = ONCALL.replace("T09:00:00Z", "T09:00:00Z, holidays: {country: XX}")
    with pytest.raises(ConfigErrors, match="no holidays are known of a country called"):
        loaded(tmp_path, {"oncall.yaml": text}, now=NOW)
