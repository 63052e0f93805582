"""What was changed lately, as GitHub, GitLab and others told: deployments, releases, workflows, pushes, feature flags.

`deploy main (f95f852b) to production: success, 12 min before the incident (checkout, by codertocat) https://…`. The service's own changes come
first; where there are few, those of the services that it depends on and of the same environment or namespace join them. Source: the deliveries of
sources such as `github` and `gitlab`. *Permissions*: none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import spoken
from bot.clients.kit import Kit
from bot.domain.alert import AlertState
from bot.domain.context import Finding
from bot.domain.incident import Incident
from bot.domain.incoming import ChangeEvent
from bot.domain.naming import clipped

MOST_ASKED = 200
LONGEST_LINE = 300
LONGEST_URL = 200
PLACES = ("environment", "env", "namespace")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline: timedelta = Field(
        default=timedelta(seconds=5), gt=timedelta(0), le=timedelta(minutes=1), description="how long it may take"
    )
    within: timedelta = Field(
        default=timedelta(hours=2),
        gt=timedelta(0),
        le=timedelta(days=7),
        description="how long before the incident a change matters",
    )
    most: int = Field(default=6, ge=1, le=20, description="how many changes to show")


@dataclass(frozen=True, slots=True)
class About:
    """What an incident is about, in lower case, and when it began."""

    service: str
    needs: frozenset[str]
    places: frozenset[str]
    since: datetime

    def why(self, change: ChangeEvent) -> str | None:
        """Why a change matters: empty for the service's own, None when it does not."""
        service = change.service.lower()
        if self.service and service == self.service:
            return ""
        if service and service in self.needs:
            return f"{self.service} depends on it"
        where = {change.environment.lower(), *(change.labels.get(name, "").lower() for name in PLACES)} - {""}
        if same := sorted(where & self.places):
            return f"also in {same[0]}"
        return None if self.service or self.places else ""


class Plugin:
    title = "Recent changes"

    def __init__(self, kit: Kit, params: Params) -> None:
        self._kit = kit
        self._params = params
        self.deadline = params.deadline.total_seconds()

    async def gather(self, incident: Incident, alerts: Sequence[AlertState], now: datetime) -> list[Finding]:
        about = self._about(incident, alerts, now)
        begin = about.since - self._params.within
        found = await self._kit.changes(begin, MOST_ASKED)
        known = sorted(
            (one for one in found if begin <= one.at <= now), key=lambda one: (one.at, one.key), reverse=True
        )
        shown = self._chosen(known, about)
        redact = self._kit.redact
        lines = tuple(redact(_line(change, why, about.since)) for change, why in shown)
        window = spoken.length(self._params.within.total_seconds())
        partly = f"; only the newest {MOST_ASKED} were looked at" if len(found) >= MOST_ASKED else ""
        source = f"changes that were reported in the {window} before the incident, {len(known)} of all services{partly}"
        url = next((change.url for change, _ in shown if change.url), "")
        none = (redact(_none(known, incident.service or _service(alerts))),)
        return [Finding(gatherer="changes", title=self.title, lines=lines or none, source=source, url=redact(url))]

    def _about(self, incident: Incident, alerts: Sequence[AlertState], now: datetime) -> About:
        """An incident that was opened again began when its alerts did."""
        firing = min((state.alert.starts_at for state in alerts if state.alert.firing), default=incident.opened_at)
        service = (incident.service or _service(alerts)).lower()
        labels: Mapping[str, str] = {**(alerts[0].alert.labels if alerts else {}), **incident.labels}
        places = frozenset(labels[name].lower() for name in PLACES if labels.get(name))
        needs = frozenset(one.lower() for one in self._kit.dependencies(incident.service or _service(alerts)))
        return About(service, needs, places, min(now, max(firing, incident.opened_at)))

    def _chosen(self, known: Sequence[ChangeEvent], about: About) -> list[tuple[ChangeEvent, str]]:
        """The service's own, and while there is room, those that matter for another reason; the newest first."""
        judged = [(change, why) for change in known if (why := about.why(change)) is not None]
        own_first = sorted(judged, key=lambda pair: pair[1] != "")[: self._params.most]
        return sorted(own_first, key=lambda pair: (pair[0].at, pair[0].key), reverse=True)


def _service(alerts: Sequence[AlertState]) -> str:
    return next((state.alert.service for state in alerts if state.alert.service), "")


def _none(known: Sequence[ChangeEvent], service: str) -> str:
    """That there was nothing, and where there was something: a repository may only lack its place in `services`."""
    others = sorted({change.service for change in known if change.service})
    of = f" of {service}" if service else ""
    elsewhere = (
        f" (there were some of {', '.join(others[:5])}{' and others' if len(others) > 5 else ''})" if others else ""
    )
    return clipped(f"none{of}{elsewhere}", LONGEST_LINE)


def _line(change: ChangeEvent, why: str, since: datetime) -> str:
    state = f": {change.state}" if change.state else ""
    by = f"by {change.author}" if change.author else ""
    beside = ", ".join(word for word in (change.service, by, why) if word)
    text = f"{change.title or change.kind}{state}, {spoken.relative(change.at, since, 'the incident')}"
    text += f" ({beside})" if beside else ""
    link = f" {change.url}" if change.url and len(change.url) <= LONGEST_URL else ""
    return clipped(text, LONGEST_LINE - len(link)) + link
