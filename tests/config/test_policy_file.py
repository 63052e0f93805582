"""policy.yaml whole: what becomes of it, and that every refusal says the line of its rule. Single mistakes are in mistakes.yaml."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.config import schema
from bot.domain.people import Actor
from bot.domain.plan import Target
from tests.config.folder import POLICY, REGISTRY, loaded, warnings
from tests.config.json_schema import violations
from tests.config.test_any_input import outcome, paths, put, values
from tests.config.test_example import as_json

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WHOLE = """\
roles:
  responders: [ada, bob]
  admins: [ada]
keepers: admins
allow:
  - actions: [k8s.*]
    namespaces: [shop]
    max_replicas: 10
    min_available: 1
    max_share: 0.34
    cooldown: 10m
  - actions: [http.request]
    hosts: [flags.example]
    folders: [/var/log/app]
    unattended: true

runbooks:
  start: [responders]
  break_glass: [admins]
  cooldown: 5m
  runs_per_hour: 20
  undo: auto
  give_up: {runs: 2, within: 3h}
  freeze:
    - name: Christmas
      from: 2026-12-20T00:00:00+01:00
      until: 2026-12-27T00:00:00+01:00
    - name: Nights
      days: [mon, tue]
      between: [18:00, "08:00"]
      zone: Europe/Berlin
"""


def test_the_whole_file_becomes_the_domains_policy(tmp_path: Path) -> None:
    policy = loaded(tmp_path, {"policy.yaml": WHOLE}).policy
    first, second = policy.allow
    assert (first.min_available, first.max_share, first.cooldown) == (1, 0.34, timedelta(minutes=10))
    assert (second.folders, second.unattended, first.unattended) == (("/var/log/app",), True, False)
    limits = policy.runbooks
    assert (limits.start, limits.break_glass, limits.undo) == (("responders",), ("admins",), "auto")
    assert (limits.cooldown, limits.runs_per_hour) == (timedelta(minutes=5), 20)
    assert (limits.give_up.runs, limits.give_up.within) == (2, timedelta(hours=3))
    christmas, nights = limits.freeze
    assert christmas.until == datetime(2026, 12, 26, 23, tzinfo=UTC)
    assert nights.between == (time(18), time(8)), "with quotes and without"


def test_every_refusal_says_the_line_of_its_rule_and_who_can_change_it(tmp_path: Path) -> None:
    config = loaded(tmp_path, {"policy.yaml": WHOLE})
    policy, bob = config.policy, Actor(id="bob", name="Bob")
    too_many = Target(action="k8s.scale", namespace="shop", name="cart", replicas=11)
    assert policy.refusal(too_many) == (
        "policy.yaml:6 (allow[0]): shop/cart may have at most 10 replicas (max_replicas), 11 were asked for; "
        "the role admins (Ada) can change that"
    )
    elsewhere = policy.refusal(Target(action="k8s.scale", namespace="bank", name="cart")) or ""
    assert elsewhere.startswith("policy.yaml:5 (allow): no rule")
    assert policy.glass_refusal(bob).startswith("policy.yaml:19 (runbooks.break_glass): ")
    eve = Actor(id="eve", name="Eve")
    assert (policy.start_refusal(eve, config.directory) or "").startswith("policy.yaml:18 (runbooks.start): ")
    frozen = policy.hold(too_many, 1, [], datetime(2026, 12, 24, tzinfo=UTC)) or ""
    assert frozen.startswith("policy.yaml:25 (runbooks.freeze[0]): Christmas: nothing is changed until ")
    monday_night = policy.hold(too_many, 1, [], datetime(2026, 11, 23, 20, tzinfo=UTC)) or ""
    assert monday_night.startswith("policy.yaml:28 (runbooks.freeze[1]): Nights: ")
    assert "until 2026-11-24 08:00 CET" in monday_night


def test_what_the_file_does_not_say_is_refused_by_its_name(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    eve = Actor(id="eve", name="Eve")
    said = config.policy.start_refusal(eve, config.directory) or ""
    assert said.startswith("policy.yaml (runbooks.start): only the role responders may start")
    assert said.endswith("whoever maintains policy.yaml can change that")


@pytest.mark.parametrize(
    ("keepers", "said"),
    [
        ("admins", "the role admins (Ada)"),
        ("spare", "the role spare"),
        ("'the platform team, in #platform'", "the platform team, in #platform"),
        ('"two\\nlines"', "two lines"),
        ('""', "whoever maintains policy.yaml"),
    ],
)
def test_who_may_change_the_file_is_a_role_or_words(tmp_path: Path, keepers: str, said: str) -> None:
    text = POLICY.replace("[ada, bob]}", "[ada, bob], admins: [ada], spare: []}") + f"keepers: {keepers}\n"
    policy = loaded(tmp_path, {"policy.yaml": text}).policy
    assert (policy.refusal(Target(action="k8s.scale", namespace="x")) or "").endswith(f"; {said} can add one")


def test_an_override_has_no_line(tmp_path: Path) -> None:
    policy = loaded(tmp_path, overrides={"policy.allow[0].max_replicas": 3, "policy.runbooks": {"start": []}}).policy
    said = policy.refusal(Target(action="k8s.scale", namespace="shop", replicas=4)) or ""
    assert said.startswith("policy.yaml:3 (allow[0]): ")
    refused = policy.start_refusal(Actor(id="ada", name="Ada"), loaded(tmp_path).directory) or ""
    assert refused.startswith("policy.yaml (override) (runbooks.start): nobody may start")


def test_a_freeze_that_is_over_is_a_warning_when_the_time_is_known(tmp_path: Path) -> None:
    over = WHOLE.replace("2026-12", "2025-12")
    assert warnings(tmp_path, {"policy.yaml": over}, now=NOW) == [
        'policy.yaml:27:14: runbooks.freeze[0].until: "Christmas" is over and can go'
    ]
    assert warnings(tmp_path, {"policy.yaml": over}) == []
    assert warnings(tmp_path, {"policy.yaml": WHOLE}, now=NOW) == []


def test_the_whole_file_fits_its_schema_and_mistakes_do_not() -> None:
    wanted = schema(REGISTRY)["policy.yaml"]
    quoted = WHOLE.replace("[18:00, ", '["18:00", ')
    assert list(violations(as_json(quoted), wanted, wanted)) == []
    for old, new in (
        ("zone:", "zoen:"),
        ('"08:00"', '"8 am"'),
        ("runs: 2", "runs: 0"),
        ("undo: auto", "undo: yes"),
        ("0.34", "34"),
        ("days: [mon, tue]", "days: [monday]"),
    ):
        assert old in quoted
        assert list(violations(as_json(quoted.replace(old, new)), wanted, wanted)), new


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_in_any_place_is_a_problem_or_a_policy(data: st.DataObject) -> None:
    good = as_json(WHOLE.replace("[18:00, ", '["18:00", '))
    odd = st.sampled_from(
        ["Europe", "\0", "z" * 300, "24:00", "9" * 9, "P1D", "../x", "9999-12-31T23:59:59Z", ".", "//"]
    )
    broken = put(good, data.draw(st.sampled_from(paths(good))), data.draw(values | odd))
    outcome({"policy.yaml": yaml.safe_dump(broken, allow_unicode=True).encode("utf-8", "surrogatepass")}, now=NOW)
