"""Why an alert does or does not page: what each stage says, who is paged when, and what people read of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.domain.alert import Alert, AlertState, Received
from bot.domain.escalation import Level, Policy, Track
from bot.domain.incident import Incident, State
from bot.domain.passing import Passing, View
from bot.domain.people import Directory, Person
from bot.domain.quiet import OwnHours, QuietHours
from bot.domain.routing import Route, Routing
from bot.domain.rules import Rules
from bot.domain.runbook import Runbook
from bot.domain.schedule import Layer, Schedule
from bot.domain.severity import Taxonomy
from bot.domain.signal import Signal
from bot.domain.silence import Silence, Silences
from bot.domain.triage import STAGES, triage
from bot.domain.why import Account, Why, explained, lines, remembered, said, through
from bot.domain.windows import Window
from tests.domain.alerts import NOW, ago, alert, incident, state_of

NIGHT = Window.model_validate({"between": ["22:00", "07:00"], "zone": "UTC"})
PEOPLE = {
    "ada": Person(key="ada", name="Ada", slack="U0ADA"),
    "bob": Person(key="bob", name="Bob", slack="U0BOB"),
    "eve": Person(key="eve", name="Eve"),
}
SHOP = Policy(
    key="shop",
    levels=(Level(targets=("person:ada",)), Level(targets=("person:eve", "person:bob"), timeout=timedelta(minutes=10))),
)
OPS = Policy(key="ops", levels=(Level(targets=("channel:ops",)),))


def rules(route: Route | None = None, directory: Directory | None = None, **signal: Any) -> Rules:
    return Rules(
        signal=Signal(Routing(route or Route(policy="shop")), **signal),
        escalations={"shop": SHOP, "ops": OPS},
        default_escalation="shop",
        directory=directory or Directory(people=PEOPLE),
    )


def why(one: Alert, given: Rules | None = None, now: datetime = NOW, known: Incident | None = None, **view: Any) -> Why:
    given = given or rules()
    passing = Passing(one, given.signal, view.get("states", {}).get(one.key))
    verdict = triage(passing, View(given.signal, directory=given.directory, **view), now)
    return explained(passing, verdict, given, now, known)


def text(found: Why) -> str:
    return "\n".join(lines(found))


# ------------------------------------------------------------------------------------------------ the stages


def test_every_stage_has_its_word_and_the_one_that_decided_is_marked() -> None:
    found = why(alert(severity="critical"))
    assert [name for name, _ in found.stages] == list(STAGES)
    assert (found.outcome, found.stage) == ("opened", "storm")
    assert dict(found.stages)["routed"] == "root (everything)"
    assert sum("=> " in line for line in lines(found)) == 1


def test_stages_behind_the_one_that_decided_were_not_asked() -> None:
    words = dict(said(("relabel: changed by one",), "silenced", "silenced: silence 1"))
    assert words["relabel"] == "changed by one"
    assert words["repeated"] == "no"
    assert words["silenced"] == "silenced: silence 1"
    assert {words[name] for name in list(STAGES)[4:]} == {"not asked"}


def test_an_old_line_of_the_log_without_a_stage_shows_what_it_has() -> None:
    line = Received(NOW, alert(), "opened", "nothing is open", ("matched: no silence", "routed: root"), 3)
    found = remembered(line)
    assert found.stages == (("matched", "no silence"), ("routed", "root"))
    told = lines(found)
    assert "OPENED, because nothing is open" in told[0]
    assert not any("not asked" in line or "=>" in line or "pages" in line for line in told)


def test_a_trail_that_nobody_bounded_does_not_fill_the_screen() -> None:
    found = remembered(Received(NOW, alert(alertname="x" * 5000), "opened", "r" * 9000, ("routed: " + "y" * 9000,)))
    assert max(map(len, lines(found))) < 1500


# ------------------------------------------------------------------------------------------------ who is paged


def test_levels_are_paged_one_after_the_other_until_nobody_is_left() -> None:
    found = why(alert(severity="critical"))
    shown = [(call.after, call.level, call.names) for call in found.paged.calls]
    assert shown == [
        (timedelta(0), 1, ("Ada",)),
        (timedelta(minutes=5), 2, ("Bob",)),
        (timedelta(minutes=15), 0, ()),
    ]
    assert "pages at once: Ada (policy shop, level 1)" in text(found)
    assert "pages after 5m: Bob (policy shop, level 2)" in text(found)
    assert "after 15m: nobody of policy shop is left; the fallback channel is told" in text(found)
    assert "skipped: after 5m, policy shop, level 2: person:eve has no way to be paged" in text(found)


def test_rounds_of_one_policy_leave_room_for_the_other() -> None:
    many = Policy(key="shop", levels=SHOP.levels, repeat=50)
    route = Route(routes=(Route(path="root/0", policy="shop", go_on=True), Route(path="root/1", policy="ops")))
    given = Rules(
        signal=Signal(Routing(route)), escalations={"shop": many, "ops": OPS}, directory=Directory(people=PEOPLE)
    )
    found = why(alert(), given)
    assert {call.policy for call in found.paged.calls} == {"shop", "ops"}
    assert "round 2" in text(found)
    assert "pages at once: #ops (policy ops, level 1)" in text(found)
    assert len(found.paged.calls) <= 24


def test_who_has_the_turn_is_asked_for_the_time_of_the_page() -> None:
    layer = Layer(name="r", turns=(("ada",), ("bob",)), every=timedelta(minutes=5), starts=NOW.replace(tzinfo=None))
    policy = Policy(key="shop", levels=(Level(targets=("rotation:r",)), Level(targets=("rotation:r",))))
    given = Rules(
        signal=Signal(Routing(Route(policy="shop"))),
        escalations={"shop": policy},
        directory=Directory(people=PEOPLE, schedules={"r": Schedule(key="r", layers=(layer,))}),
    )
    assert [call.names for call in why(alert(), given).paged.calls[:2]] == [("Ada",), ("Bob",)]


def test_who_does_not_want_to_be_paged_then_is_left_out_with_the_reason() -> None:
    own = OwnHours(windows=(NIGHT,), severities=frozenset({"warning"}))
    people = {**PEOPLE, "bob": PEOPLE["bob"].model_copy(update={"quiet": own})}
    evening = NOW.replace(hour=21, minute=58)
    given = rules(directory=Directory(people=people))
    found = why(alert(severity="warning", starts_at=evening), given, evening)
    assert [call.names for call in found.paged.calls] == [("Ada",), ()], "Bob's turn would be at 22:03"
    assert any("Bob does not want to be paged for warning before 07:00 UTC" in one for one in found.paged.skipped)
    assert [call.names for call in why(alert(severity="critical"), given, evening).paged.calls][1] == ("Bob",)


def test_a_time_that_is_days_away_is_told_with_its_date() -> None:
    away = Window(from_=ago(60), until=NOW + timedelta(days=9))
    own = OwnHours(windows=(away,), severities=frozenset({"warning"}))
    given = rules(directory=Directory(people={**PEOPLE, "bob": PEOPLE["bob"].model_copy(update={"quiet": own})}))
    assert any("before 2026-11-30 12:00 UTC" in one for one in why(alert(), given).paged.skipped)


def test_a_group_that_waits_says_who_is_paged_when_it_has_waited() -> None:
    found = why(alert(), rules(Route(policy="shop", wait=timedelta(seconds=30))))
    assert found.outcome == "waiting"
    assert "if it still fires at 2026-11-21 12:00 UTC, and nothing else holds it then:" in text(found)
    assert "pages then: Ada (policy shop, level 1)" in text(found)
    assert "pages 5m later: Bob" in text(found)


def test_quiet_hours_say_who_is_paged_after_them() -> None:
    night = NOW.replace(hour=23)
    found = why(alert(), rules(quiet=(QuietHours("night", (NIGHT,), frozenset({"warning"})),)), night)
    assert (found.outcome, found.stage) == ("quiet", "quiet hours")
    assert found.paged.at == datetime(2026, 11, 22, 7, tzinfo=UTC)
    assert found.paged.calls[0].names == ("Ada",)


def test_a_silence_is_told_with_its_author_and_reason() -> None:
    silence = Silence(
        number=42,
        matchers=('service="checkout"',),
        author="Ada",
        reason="replacing disks",
        starts_at=ago(5),
        ends_at=NOW + timedelta(hours=2),
        created_at=ago(5),
    )
    found = why(alert(), silences=Silences([silence]))
    assert "SILENCED, because silence 42 of Ada until 2026-11-21 14:00 UTC: replacing disks" in text(found)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.TRIGGERED, "INC-1 is being paged for already"),
        (State.ACKNOWLEDGED, "INC-1 is acknowledged by Ada"),
    ],
)
def test_what_joins_an_incident_pages_nobody_and_says_who_has_it(state: State, word: str) -> None:
    route = Route(policy="shop")
    one = alert()
    group = Passing(one, Signal(Routing(route))).group_key
    by = "Ada" if state is State.ACKNOWLEDGED else ""
    known = incident(state, acknowledged_by=by, tracks=(Track(policy=SHOP),))
    found = why(one, rules(route), known=known, incidents={group: known})
    assert found.outcome == "joined"
    assert not found.paged.calls
    assert word in text(found)
    assert not found.runbooks, "they are offered when an incident opens"


def test_what_joins_and_is_worse_pages_those_who_have_acknowledged_less() -> None:
    one = alert(severity="critical")
    group = Passing(one, Signal(Routing(Route(policy="shop")))).group_key
    tracks = (Track(policy=SHOP),)
    known = incident(State.ACKNOWLEDGED, acknowledged_by="Ada", severity="warning", tracks=tracks)
    assert why(one, known=known, incidents={group: known}).paged.calls[0].names == ("Ada",)
    still = incident(State.TRIGGERED, severity="warning", tracks=tracks)
    assert not why(one, known=still, incidents={group: still}).paged.calls


def test_what_joins_pages_the_policies_that_only_its_own_routes_name() -> None:
    one = alert()
    group = Passing(one, Signal(Routing(Route(policy="shop")))).group_key
    known = incident(State.ACKNOWLEDGED, acknowledged_by="Ada", tracks=(Track(policy=OPS),))
    found = why(one, known=known, incidents={group: known})
    assert {call.policy for call in found.paged.calls} == {"shop"}


def test_what_is_opened_again_pages_by_the_policy_of_its_incident() -> None:
    one = alert()
    group = Passing(one, Signal(Routing(Route()))).group_key
    known = incident(State.RESOLVED, ago(5), tracks=(Track(policy=OPS),))
    found = why(one, known=known, incidents={group: known})
    assert found.outcome == "reopened"
    assert found.paged.calls[0].names == ("#ops",)


def test_nobody_to_page_is_said_with_the_reason() -> None:
    empty = Rules(signal=Signal(Routing(Route())))
    assert "pages nobody: its route has no escalation policy" in text(why(alert(), empty))
    gone = rules(directory=Directory())
    found = why(alert(), gone)
    assert "pages nobody: nobody on its policies can be paged" in text(found)
    assert "skipped: policy shop, level 1: person:ada has nobody on call" in text(found)
    assert "through:" not in text(found)


def test_what_is_only_logged_says_so() -> None:
    found = why(alert(severity="info"))
    assert found.outcome == "logged"
    assert "pages nobody: info is only logged" in text(found)


def test_a_resolve_tells_its_stages_and_nothing_that_does_not_concern_it() -> None:
    over = alert(firing=False, ends_at=NOW)
    unknown = why(over)
    assert (unknown.outcome, unknown.severity, unknown.routes) == ("ignored", "", ())
    assert "resolved at 2026-11-21 12:00 UTC" in lines(unknown)[0]
    states = {over.key: state_of(alert(starts_at=ago(10)))}
    known = why(over, states=states, by_id={1: incident()})
    assert (known.outcome, known.incident_id) == ("resolved", 1)
    assert "pages" not in text(known)


def test_what_was_over_before_it_was_heard_of_pages_nobody() -> None:
    over = AlertState(alert(firing=False, starts_at=ago(5), ends_at=ago(1)), ago(1), ago(1))
    found = why(alert(starts_at=ago(5)), states={over.alert.key: over})
    assert "pages nobody: it was over before it was heard of" in text(found)


@pytest.mark.parametrize(
    ("media", "words"),
    [
        (("log", "slack"), "slack"),
        (("log", "slack", "email", "sms"), "slack (not set up here: email, sms)"),
        (("log", "email"), "slack (not set up here: email)"),
    ],
)
def test_media_that_are_not_set_up_here_are_named_and_slack_is_used_instead(media: tuple[str, ...], words: str) -> None:
    assert through(media, {"slack": "slack"}) == words
    given = rules(taxonomy=Taxonomy(media={"warning": media}))
    assert f"through: {words}" in text(why(alert(), given))


def test_media_that_are_set_up_are_named_by_what_they_are_called_here() -> None:
    set_up = {"slack": "slack", "mail": "email", "twilio": "sms"}
    assert through(("log", "slack", "email", "push"), set_up) == "slack, mail (not set up here: push)"
    assert through(("twilio",), set_up) == "twilio"
    assert through((), set_up) == "slack, mail, twilio", "nothing said: all of them"


def test_levels_that_take_turns_name_all_who_may_be_paged() -> None:
    policy = Policy(key="shop", levels=(Level(targets=("person:ada", "person:bob"), round_robin=True),))
    given = Rules(
        signal=Signal(Routing(Route(policy="shop"))),
        escalations={"shop": policy},
        directory=Directory(people=PEOPLE),
    )
    assert "one of Ada and Bob in turn" in text(why(alert(), given))


# ------------------------------------------------------------------------------------------------ runbooks


def runbook(**update: Any) -> Runbook:
    given = {
        "name": "fix",
        "title": "Fix it",
        "match": ['service="checkout"'],
        "steps": [{"id": "a", "action": "x.y", "with": {}}],
    }
    return Runbook.model_validate(given | update)


def test_runbooks_that_fit_are_named_and_a_test_starts_none_by_itself() -> None:
    own = runbook(name="auto", title="By itself", start="auto")
    both = Rules(
        signal=Signal(Routing(Route(policy="shop"))),
        escalations={"shop": SHOP},
        directory=Directory(people=PEOPLE),
        runbooks={"fix": runbook(), "auto": own, "other": runbook(name="other", match=['service="cart"'])},
    )
    assert why(alert(), both).runbooks == ("Fix it (fix) is offered", "By itself (auto) begins by itself")
    assert why(alert(tocsin_test="true"), both).runbooks == ("Fix it (fix) is offered",)


def test_an_account_says_why_nobody_was_paged() -> None:
    policy = (Track(policy=SHOP),)
    assert "no escalation policy" in Account(incident(), (), ()).nobody
    assert Account(incident(tracks=policy), (), ()).nobody == "No page has left yet."
    assert Account(incident(State.RESOLVED, tracks=policy), (), ()).nobody == "Nobody was paged."
