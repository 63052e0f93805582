"""What the sections about signal and noise become: from YAML to bot.domain.signal.Signal."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from bot.app import rules_of
from bot.config import Config, reload
from bot.domain.alert import Alert
from bot.domain.digest_times import DigestTimes
from bot.domain.flapping import Flapping
from bot.domain.inhibition import Dependencies
from bot.domain.quiet import OwnHours, QuietHours
from bot.domain.relabel import Relabelled
from bot.domain.severity import DEFAULT_MEDIA, MEDIA, BurnRate
from bot.domain.silence import Silence, Silences
from bot.domain.storm import Storm
from bot.domain.windows import Window
from tests.config.folder import ENVIRON, ONCALL, REGISTRY, SERVICES, TOCSIN, loaded, problems, warnings, written

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def said(folder: Path, text: str) -> Config:
    """The good configuration with these sections as well."""
    return loaded(folder, {"tocsin.yaml": TOCSIN + text})


def alert(**labels: str) -> Alert:
    return Alert("am", "f", True, labels, {}, NOW)


# ------------------------------------------------------------------------------------------------ relabel

RELABEL = """\
relabel:
  - name: what CI sends
    match: [job="ci"]
    set: {team: "team-${owner}", host: ""}
    map: {severity: {P1: critical, "2": error}}
  - name: probes
    match: ['team=~"team-.+"', probe="true"]
    drop: true
"""


def test_relabel_rules_set_map_and_drop_in_their_order(tmp_path: Path) -> None:
    relabelling = said(tmp_path, RELABEL).signal.relabelling
    changed = relabelling(alert(job="ci", owner="shop", host="x", severity="2"))
    assert changed.alert is not None
    assert changed.alert.labels == {"job": "ci", "owner": "shop", "team": "team-shop", "severity": "error"}
    assert changed.by == ("what CI sends",)
    dropped = relabelling(alert(job="ci", owner="shop", probe="true"))
    assert (dropped.alert, dropped.dropped_by) == (None, "probes")
    other = alert(job="node", severity="2")
    assert relabelling(other) == Relabelled(other)


# ------------------------------------------------------------------------------------------------ inhibition

INHIBIT = """\
inhibit:
  - {name: node down, source: [alertname="NodeDown"], target: ['severity=~"warning|info"'], equal: [node]}
  - source_matchers:
      - alertname = "ClusterDown"
    target_matchers: [cluster=~".+"]
    equal: [cluster]
"""


def test_inhibition_rules_can_be_pasted_from_alertmanager(tmp_path: Path) -> None:
    inhibition = said(tmp_path, INHIBIT).signal.inhibition
    assert [rule.name for rule in inhibition.rules] == ["node down", "inhibit[1]"]
    keys = inhibition.holds(alert(alertname="ClusterDown", cluster="eu"), "critical")
    held = alert(alertname="Slow", cluster="eu", severity="critical")
    assert [reason.key in keys for reason in inhibition.held_under(held)] == [True]
    elsewhere = alert(alertname="Slow", cluster="us", severity="critical")
    assert [reason.key in keys for reason in inhibition.held_under(elsewhere)] == [False]


DEPENDENCIES = {"checkout": ("cart",)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Dependencies(DEPENDENCIES, frozenset({"critical"}))),
        ("severities: [bad, ugly]\n", Dependencies(DEPENDENCIES, frozenset({"bad"}))),
        ("dependencies: {}\n", Dependencies(DEPENDENCIES, frozenset({"critical"}))),
        ("dependencies: {severities: [critical, error]}\n", Dependencies(DEPENDENCIES, frozenset({"critical", "error"}))),
        ("dependencies: false\n", Dependencies()),
    ],
)  # fmt: skip
def test_the_catalogue_says_what_explains_what(tmp_path: Path, text: str, expected: Dependencies) -> None:
    assert said(tmp_path, text).signal.inhibition.dependencies == expected


# ------------------------------------------------------------------------------------------------ flapping, storm, digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Flapping()),
        ("flapping: {fires: 3, calm: 1h}\n", Flapping(3, timedelta(minutes=30), timedelta(hours=1))),
        ("flapping:\n", Flapping()),
        ("flapping: off\n", Flapping(fires=0)),
    ],
)
def test_flapping(tmp_path: Path, text: str, expected: Flapping) -> None:
    assert said(tmp_path, text).signal.flapping == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", Storm()), ("storm: {more_than: 3}\n", Storm(3, timedelta(minutes=5))), ("storm: false\n", Storm(0))],
)
def test_storms(tmp_path: Path, text: str, expected: Storm) -> None:
    assert said(tmp_path, text).signal.storm == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", DigestTimes(time(9), "UTC", "incidents")),
        ('digest: {at: "07:30", zone: Europe/Berlin, channel: ops}\n', DigestTimes(time(7, 30), "Europe/Berlin", "ops")),
        ("digest: no\n", None),
    ],
)  # fmt: skip
def test_the_digest_is_posted_at_nine_unless_it_is_said_otherwise(
    tmp_path: Path, text: str, expected: DigestTimes | None
) -> None:
    assert said(tmp_path, text).digest == expected


def test_the_digest_goes_to_the_fallback_channel(tmp_path: Path) -> None:
    digest = loaded(tmp_path, overrides={"slack.fallback_channel": "alarms"}).digest
    assert digest is not None
    assert digest.channel == "alarms"


def test_how_long_the_log_of_alerts_is_kept(tmp_path: Path) -> None:
    assert said(tmp_path, "keep: {alert_log: 30d}\n").keep_log == timedelta(days=30)


# ------------------------------------------------------------------------------------------------ quiet hours and maintenance

NIGHT = Window.model_validate({"between": ["22:00", "07:00"], "zone": "Europe/Berlin"})
QUIET = """\
quiet_hours:
  - name: night
    match: [team="shop"]
    severities: [warning, info]
    windows:
      - {between: ["22:00", "07:00"], zone: Europe/Berlin}
      - {days: [sat, sun]}
"""


def test_quiet_hours(tmp_path: Path) -> None:
    [hours] = said(tmp_path, QUIET).signal.quiet
    assert isinstance(hours, QuietHours)
    assert (hours.name, hours.severities) == ("night", {"warning", "info"})
    assert hours.windows == (NIGHT, Window(days=("sat", "sun")))
    assert [str(one) for one in hours.matchers] == ['team="shop"']


def test_people_have_quiet_hours_of_their_own(tmp_path: Path) -> None:
    quiet = 'slack: U0ADA, quiet: {windows: [{between: ["22:00", "07:00"], zone: Europe/Berlin}], severities: [info]}'
    people = loaded(tmp_path, {"oncall.yaml": ONCALL.replace("slack: U0ADA", quiet)}).directory.people
    assert people["ada"].quiet == OwnHours(windows=(NIGHT,), severities=frozenset({"info"}))
    assert people["bob"].quiet == OwnHours()


MAINTENANCE = """\
maintenance:
  - name: backup
    match: [service="db", alertname!="Down"]
    reason: copies everything
    windows: [{days: [sun], between: ["02:00", "04:00"]}]
  - {name: move, match: [zone=eu], from: "2026-11-28T00:00:00+01:00", until: "2026-11-29T00:00:00+01:00"}
"""


def test_maintenance_windows_become_silences_with_a_name(tmp_path: Path) -> None:
    config = said(tmp_path, MAINTENANCE)
    backup, move = config.signal.maintenance
    assert (backup.key, backup.matchers) == ("maintenance:backup", ('service="db"', 'alertname!="Down"'))
    night, day = datetime(2026, 11, 22, 3, tzinfo=UTC), datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert [backup.covers(at) for at in (night, day)] == [True, False]
    assert backup.why(night) == "maintenance 'backup' until 2026-11-22 04:00 UTC: copies everything"
    assert move.starts_at == datetime(2026, 11, 27, 23, tzinfo=UTC)
    assert move == Silence(
        name="move",
        kind="maintenance",
        matchers=('zone="eu"',),
        starts_at=move.starts_at,
        ends_at=datetime(2026, 11, 28, 23, tzinfo=UTC),
        created_at=move.starts_at,
    )
    assert Silences(config.signal.maintenance).covering({"service": "db", "alertname": "Down"}, night) is None


@pytest.mark.parametrize(
    ("when", "doubts"),
    [
        ("until: 2026-11-21T12:00:00Z", ['tocsin.yaml:12:53: maintenance[0].until: "move" is over and can go']),
        ("until: 2026-11-21T12:00:01Z", []),
        ("windows: [{until: 2026-01-01T00:00:00Z}]", ['tocsin.yaml:12:15: maintenance[0]: "move" is over and can go']),
        ("windows: [{until: 2026-01-01T00:00:00Z}, {days: [sun]}]", []),
    ],
)
def test_a_maintenance_window_that_is_over_is_doubtful(tmp_path: Path, when: str, doubts: list[str]) -> None:
    text = TOCSIN + f"maintenance: [{{name: move, match: [zone=eu], {when}}}]\n"
    assert warnings(tmp_path, {"tocsin.yaml": text}, now=NOW) == doubts
    assert warnings(tmp_path, {"tocsin.yaml": text}) == []


# ------------------------------------------------------------------------------------------------ severities


SEVERITIES = """\
severities: [page, critical, info]
severity_label: prio
severity_values: {P1: page, " Sev2 ": critical, 404: info}
burn_rate: {label: rate, at_least: {critical: 6, page: 14.4}}
media: {page: [log, slack, call], info: [log, slack]}
"""


def test_severities_have_names_aliases_rates_and_media(tmp_path: Path) -> None:
    services = SERVICES.replace("owner: shop", "owner: shop, most_severe: critical")
    config = loaded(tmp_path, {"tocsin.yaml": TOCSIN + SEVERITIES, "services.yaml": services})
    taxonomy = config.signal.taxonomy
    assert (taxonomy.names, taxonomy.default, taxonomy.label) == (("page", "critical", "info"), "critical", "prio")
    assert taxonomy.aliases == {"p1": "page", "sev2": "critical", "404": "info"}
    assert taxonomy.burn_rate == BurnRate("rate", {"page": 14.4, "critical": 6})
    assert list(taxonomy.burn_rate.least) == ["page", "critical"], "the most severe is asked first"
    assert taxonomy.at_most == {"checkout": "critical"}
    assert taxonomy.media == {
        "page": ("log", "slack", "call"),
        "critical": DEFAULT_MEDIA["critical"],
        "info": ("log", "slack"),
    }


def test_without_rates_those_of_the_severities_that_there_are_count(tmp_path: Path) -> None:
    text = "severities: [critical, warning]\nburn_rate: {}\n"
    assert said(tmp_path, text).signal.taxonomy.burn_rate == BurnRate("burn_rate", {"critical": 14.4, "warning": 1})


def test_a_severity_that_no_table_names_uses_everything(tmp_path: Path) -> None:
    assert said(tmp_path, "severities: [p1, p2]\n").signal.taxonomy.through("p2") == MEDIA


# ------------------------------------------------------------------------------------------------ routes

ROUTES = """\
slack: {bot_token: env:BOT, app_token: env:APP}
sources: {alertmanager: {bearer: env:AM}}
kubernetes: {url: "https://k8s.example", token: env:K8S}
route:
  policy: ops
  wait: 30s
  repeat_interval: 4h
  routes:
    - match: [team="shop"]
      policy: shop
      severity: error
      media: [log, slack]
      group_interval: 0s
      routes:
        - {match: [a=b], severity: "", group_wait: 0s, repeat: 0}
    - {match: [c=d], media: [log]}
"""


def test_routes_have_severity_media_and_times_from_above(tmp_path: Path) -> None:
    root = loaded(tmp_path, {"tocsin.yaml": ROUTES}).signal.routing.root
    shop, quiet = root.routes
    [inner] = shop.routes
    every = (root, shop, inner, quiet)
    assert [route.severity for route in every] == ["", "error", "", ""]
    assert [route.media for route in every] == [None, ("log", "slack"), ("log", "slack"), ("log",)]
    assert [route.wait.total_seconds() for route in every] == [30, 30, 0, 30]
    assert [route.interval.total_seconds() for route in every] == [300, 0, 0, 300]
    assert [route.repeat for route in every] == [timedelta(hours=4), timedelta(hours=4), None, timedelta(hours=4)]
    assert warnings(tmp_path, {"tocsin.yaml": ROUTES}) == []


# ------------------------------------------------------------------------------------------------ reload and other files


def test_a_reload_takes_over_what_is_signal_without_a_restart(tmp_path: Path) -> None:
    old = loaded(tmp_path)
    written(tmp_path, {"tocsin.yaml": TOCSIN + MAINTENANCE + "storm: false\ndigest: false\nkeep: {alert_log: 1d}\n"})
    new = reload(tmp_path / "conf", REGISTRY, old, ENVIRON)
    assert new.warnings == ()
    before, after = rules_of(old), rules_of(new)
    assert [one.name for one in after.signal.maintenance] == ["backup", "move"]
    assert (after.signal.storm, after.digest, after.keep_log) == (Storm(0), None, timedelta(days=1))
    assert before.signal.maintenance == ()
    assert (before.signal.storm, before.digest, before.keep_log) == (Storm(), old.digest, timedelta(days=90))


def test_severities_that_cannot_be_read_prove_nothing_about_references_to_them(tmp_path: Path) -> None:
    from_ = {
        "tocsin.yaml": TOCSIN + "severities: high\ndefault_severity: high\nmedia: {high: [log]}\n"
        "quiet_hours: [{name: night, severities: [low], windows: [{days: [sun]}]}]\n",
        "services.yaml": SERVICES.replace("owner: shop", "most_severe: high"),
        "oncall.yaml": ONCALL.replace("slack: U0ADA", "slack: U0ADA, quiet: {windows: [{days: [sun]}], severities: [low]}"),
    }  # fmt: skip
    assert problems(tmp_path, from_) == ['tocsin.yaml:12:13: severities: wanted a list (- item), found "high"']


# ------------------------------------------------------------------------------------------------ the page about it

PAGE = (Path(__file__).parents[2] / "docs/signal.md").read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)


@pytest.mark.parametrize("text", EXAMPLES, ids=[one.partition(":")[0] for one in EXAMPLES])
def test_what_the_page_shows_can_be_used(tmp_path: Path, text: str) -> None:
    files = {"tocsin.yaml": TOCSIN + text}
    if text.startswith("people:"):
        files = {"oncall.yaml": text + ONCALL.partition("people:\n")[2].partition("slack: U0ADA}\n")[2]}
    elif text.startswith("route:"):
        files = {"tocsin.yaml": TOCSIN.partition("route:")[0] + text.replace("policy: default", "policy: ops")}
    assert warnings(tmp_path, files, now=NOW) == []
