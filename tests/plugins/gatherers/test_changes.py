"""What was changed before an incident: which of all changes are shown, in which order, and how they are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.domain.alert import Alert, AlertState
from bot.domain.context import Finding
from bot.domain.incident import Incident
from bot.domain.incoming import ChangeEvent
from bot.domain.redaction import Redactor
from bot.plugins.gatherers import changes

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
OPENED = NOW - timedelta(seconds=10)
DEPLOY = ChangeEvent(
    source="github",
    key="deployment/acme/checkout/1",
    kind="deployment",
    title="deploy main (f95f852b) to production",
    at=OPENED - timedelta(minutes=12),
    state="success",
    service="checkout",
    environment="production",
    author="ann",
    url="https://github.com/acme/checkout/deployments",
)


def change(service: str, minutes: float, **more: Any) -> ChangeEvent:
    at = OPENED - timedelta(minutes=minutes)
    return replace(DEPLOY, key=f"{service}/{minutes}", service=service, at=at, environment="", **more)


class Told:
    """The changes that the store would give, and what it was asked for."""

    def __init__(self, *known: ChangeEvent) -> None:
        self._known = known
        self.asked: list[tuple[datetime, int]] = []

    async def __call__(self, since: datetime, limit: int) -> Sequence[ChangeEvent]:
        self.asked.append((since, limit))
        return [one for one in self._known if one.at >= since][:limit]


async def gathered(
    *known: ChangeEvent,
    labels: dict[str, str] | None = None,
    service: str = "checkout",
    needs: Sequence[str] = (),
    starts: datetime = OPENED,
    **options: Any,
) -> Finding:
    redact = Redactor()
    kit = Kit(None, None, Http(redact), redact, changes=Told(*known), dependencies=lambda name: needs)
    plugin = changes.Plugin(kit, changes.Params(**options))
    alert = Alert("am", "f", True, labels or {}, {}, starts)
    incident = Incident(id=7, title="t", group_key="g", service=service, opened_at=OPENED, channel_name="c")
    (finding,) = await plugin.gather(incident, [AlertState(alert, starts, starts)], NOW)
    return finding


def services(finding: Finding) -> list[str]:
    return [line.split("(")[2].split(",")[0] for line in finding.lines]


async def test_a_change_is_told_with_state_distance_author_and_link() -> None:
    finding = await gathered(DEPLOY)
    assert finding.lines == (
        "deploy main (f95f852b) to production: success, 12 min before the incident (checkout, by ann) "
        "https://github.com/acme/checkout/deployments",
    )
    assert finding.source == "changes that were reported in the 2 h before the incident, 1 of all services"
    assert finding.url == DEPLOY.url
    assert not finding.missing


async def test_the_newest_come_first() -> None:
    finding = await gathered(change("checkout", 50), change("checkout", 5), change("checkout", 20))
    assert [line.split(", ")[1].split(" min")[0] for line in finding.lines] == ["5", "20", "50"]


async def test_only_what_was_changed_within_the_window_counts() -> None:
    told = Told(DEPLOY)
    kit = Kit(None, None, Http(str), str, changes=told)
    plugin = changes.Plugin(kit, changes.Params(within=timedelta(minutes=10)))
    incident = Incident(id=7, title="t", group_key="g", service="checkout", opened_at=OPENED, channel_name="c")
    (finding,) = await plugin.gather(incident, [], NOW)
    assert told.asked == [(OPENED - timedelta(minutes=10), 200)]
    assert finding.lines == ("none of checkout",)


async def test_changes_of_other_services_do_not_count_but_are_named() -> None:
    finding = await gathered(change("search", 5), change("cart", 6), change("cart", 7))
    assert finding.lines == ("none of checkout (there were some of cart, search)",)
    assert finding.source.endswith("3 of all services")


async def test_services_that_it_depends_on_join_and_say_why() -> None:
    finding = await gathered(change("payments", 5), change("checkout", 20), change("search", 1), needs=["Payments"])
    assert services(finding) == ["payments", "checkout"]
    assert "(payments, by ann, checkout depends on it)" in finding.lines[0]


@pytest.mark.parametrize("labels", [{"env": "Production"}, {"environment": "production"}, {"namespace": "production"}])
async def test_changes_of_the_same_environment_join(labels: dict[str, str]) -> None:
    same = replace(change("search", 5), environment="production")
    finding = await gathered(same, change("cart", 4), labels=labels)
    assert services(finding) == ["search"]
    assert "also in production" in finding.lines[0]


async def test_its_own_changes_are_not_crowded_out() -> None:
    others = [replace(change("search", n), environment="production") for n in range(1, 9)]
    finding = await gathered(*others, change("checkout", 60), labels={"env": "production"}, most=3)
    assert services(finding) == ["search", "search", "checkout"]


async def test_an_incident_about_nothing_in_particular_gets_the_newest_of_all() -> None:
    finding = await gathered(change("search", 5), change("cart", 4), service="", most=1)
    assert services(finding) == ["cart"]
    assert (await gathered(service="")).lines == ("none",)


async def test_the_service_may_be_known_from_an_alert_only() -> None:
    assert services(await gathered(DEPLOY, service="", labels={"app": "Checkout"})) == ["checkout"]


async def test_an_incident_that_opened_again_counts_from_its_alerts() -> None:
    """It was opened hours ago, and what fires now began just now."""
    old = Incident(
        id=7, title="t", group_key="g", service="checkout", opened_at=NOW - timedelta(hours=9), channel_name="c"
    )
    plugin = changes.Plugin(Kit(None, None, Http(str), str, changes=Told(DEPLOY)), changes.Params())
    state = AlertState(Alert("am", "f", True, {}, {}, OPENED), OPENED, OPENED)
    (finding,) = await plugin.gather(old, [state], NOW)
    assert "12 min before the incident" in finding.lines[0]


async def test_lines_are_bounded_and_hold_no_secrets() -> None:
    finding = await gathered(
        change("checkout", 1, title="x" * 5_000),
        change("checkout", 2, title="rotate password=hunter2hunter2"),
        change("checkout", 3, url="https://x.example/" + "y" * 1_000),
        *(change("checkout", 4 + n) for n in range(50)),
        most=20,
    )
    assert len(finding.lines) == 20
    assert all(len(line) <= 300 for line in finding.lines)
    assert finding.lines[0].endswith(f"… {DEPLOY.url}")
    assert "hunter2" not in repr(finding)
    assert "yyy" not in finding.lines[2]


async def test_it_says_when_it_did_not_look_at_all_of_them() -> None:
    finding = await gathered(*(change("search", n / 10) for n in range(250)))
    assert finding.source.endswith("200 of all services; only the newest 200 were looked at")


async def test_nothing_is_known_without_a_store() -> None:
    plugin = changes.Plugin(Kit(None, None, Http(str), str), changes.Params())
    incident = Incident(id=7, title="t", group_key="g", opened_at=OPENED, channel_name="c")
    (finding,) = await plugin.gather(incident, [], NOW)
    assert finding.lines == ("none",)


@pytest.mark.parametrize("options", [{"within": timedelta(0)}, {"most": 0}, {"lookback": timedelta(hours=1)}])
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        changes.Params.model_validate(options)
