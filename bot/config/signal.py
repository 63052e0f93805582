"""What tocsin.yaml says about signal and noise, as people write it. Checked by signal_checks, made into the domain's by signal_made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, Field, model_validator

from bot.config.problems import nearest, quoted
from bot.config.server import Part
from bot.domain.flapping import MOST_KEPT
from bot.domain.severity import DEFAULT_SEVERITIES, BurnRate
from bot.domain.windows import Clock, Moment, Window, begins_before_its_end

Name = Annotated[str, Field(min_length=1, max_length=100)]
Span = Annotated[timedelta, Field(ge=timedelta(seconds=1), le=timedelta(days=7))]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def known_zone(name: str) -> str:
    """The name of a time zone as it is. Raises ValueError with the nearest one."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = nearest(name, available_timezones())
        raise ValueError(f"no time zone is called {quoted(name)}{near}") from None
    return name


def channel_name(name: str) -> str:
    """The name of a Slack channel as it is. Raises ValueError."""
    if name.startswith("#") or any(character.isspace() for character in name):
        raise ValueError(f"not the name of a channel: {quoted(name)}; write it without #")
    return name


ZoneName = Annotated[str, AfterValidator(known_zone)]
ChannelName = Annotated[str, Field(max_length=80), AfterValidator(channel_name)]


class RelabelEntry(Part):
    """Alerts that match are brought into the shape of this house, or dropped."""

    name: Name = Field(description="what reasons call it")
    match: tuple[str, ...] = Field(default=(), description="matchers, all of which must hold; every alert without any")
    drop: bool = Field(default=False, description="go no further with it")
    set: Mapping[str, str] = Field(
        default_factory=dict, description="label: text; ${other} stands for another label, an empty text takes it away"
    )
    map: Mapping[str, Mapping[str, str]] = Field(
        default_factory=dict, description="label: {value: what it becomes}; other values stay"
    )


class InhibitEntry(Part):
    """While an alert fires that matches `source`, those that match `target` and have equal labels are held. Alertmanager's inhibit_rules."""

    name: str = Field(default="", max_length=100, description="what reasons call it; its place when not given")
    source: tuple[str, ...] = Field(default=(), description="matchers of the alert that explains")
    target: tuple[str, ...] = Field(default=(), description="matchers of the alerts that are held")
    source_matchers: tuple[str, ...] = Field(default=(), description="source, as Alertmanager calls it")
    target_matchers: tuple[str, ...] = Field(default=(), description="target, as Alertmanager calls it")
    equal: tuple[str, ...] = Field(default=(), description="labels that both have with the same value")

    @model_validator(mode="after")
    def _once(self) -> Self:
        for ours, theirs in (("source", "source_matchers"), ("target", "target_matchers")):
            if getattr(self, ours) and getattr(self, theirs):
                raise ValueError(f"{ours} and {theirs} are the same; keep one of them")
        return self

    def side(self, name: Literal["source", "target"]) -> tuple[str, tuple[str, ...]]:
        """The key that is used for it, and its matchers."""
        theirs = f"{name}_matchers"
        return (theirs, getattr(self, theirs)) if getattr(self, theirs) else (name, getattr(self, name))


class DependencyEntry(Part):
    """Alerts of services whose dependency is down are held: `depends_on` in services.yaml."""

    severities: tuple[str, ...] | None = Field(
        default=None, description="how bad an alert of the dependency must be; the most severe when not given"
    )


class FlappingEntry(Part):
    """An alert that begins to fire so often is held open, with one page, until it is calm."""

    fires: int = Field(default=3, ge=2, le=MOST_KEPT, description="how often it has begun to fire")
    within: Span = Field(default=timedelta(minutes=30), description="within this time")
    calm: Span = Field(default=timedelta(minutes=15), description="calm when nothing has changed for so long")


class StormEntry(Part):
    """More new incidents than anybody can read become one."""

    more_than: int = Field(default=10, ge=1, le=1000, description="new incidents on one route")
    within: Span = Field(default=timedelta(minutes=5), description="within this time")


class OwnHoursEntry(Part):
    """When somebody does not want to be paged, and for what."""

    windows: tuple[Window, ...] = Field(min_length=1, description='times: between: ["22:00", "07:00"], days, zone')
    severities: tuple[str, ...] = Field(min_length=1, description="not bad enough for these times")


class QuietEntry(OwnHoursEntry):
    """What is not bad enough waits for the end of these times, and stands in the digest."""

    name: Name = Field(description="what reasons call it")
    match: tuple[str, ...] = Field(default=(), description="matchers, all of which must hold; every alert without any")


class MaintenanceEntry(Part):
    """What is worked on is quiet meanwhile: once, from one moment to another, or again and again."""

    name: Name = Field(description="what reasons call it")
    match: tuple[str, ...] = Field(default=(), description="matchers, all of which must hold; at least one")
    reason: str = Field(default="", max_length=500, description="said wherever the window is named")
    from_: Moment | None = Field(default=None, alias="from", description="when it begins: 2026-12-20T00:00:00+01:00")
    until: Moment | None = Field(default=None, description="when it ends")
    windows: tuple[Window, ...] = Field(
        default=(), description='only at these times: days: [sun], between: ["02:00", "04:00"], zone'
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        begins_before_its_end(self.from_, self.until)
        return self

    @property
    def endless(self) -> bool:
        return self.until is None and (not self.windows or any(window.endless for window in self.windows))


class BurnRateEntry(Part):
    """The severity follows from how fast an error budget burns: the first one whose rate is reached."""

    label: str = Field(default=BurnRate().label, min_length=1, description="label or annotation with the rate")
    at_least: Mapping[str, Rate] = Field(
        default_factory=dict, description="severity: rate; critical 14.4, error 6, warning 1 when not given"
    )


class DigestEntry(Part):
    """Once a day: what was held, and what fires often without anybody acting."""

    at: Clock = Field(default=time(9), description='time of day: "09:00", in quotes')
    zone: ZoneName = Field(default="UTC", description="its time zone: Europe/Berlin")
    channel: ChannelName = Field(
        default="", description="name of a channel, without #; slack.fallback_channel when not given"
    )


class Keep(Part):
    """How long what is only looked back at is kept."""

    alert_log: timedelta = Field(
        default=timedelta(days=90), ge=timedelta(days=1), description="what came in, and what became of it"
    )


class SignalSections(Part):
    """The part of tocsin.yaml that decides what becomes an incident, and how bad it is."""

    severities: tuple[str, ...] = Field(default=DEFAULT_SEVERITIES, min_length=1, description="the most severe first")
    default_severity: str = Field(
        default="", description="for alerts without one; `warning`, or the last but one, when not set"
    )
    severity_label: str = Field(default="severity", min_length=1)
    severity_values: Mapping[str, str] = Field(
        default_factory=dict, description="what senders call them: {page: critical, P1: critical}"
    )
    burn_rate: BurnRateEntry | None = None
    media: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="severity: through what it may reach people; [log] pages nobody"
    )
    relabel: tuple[RelabelEntry, ...] = ()
    inhibit: tuple[InhibitEntry, ...] = ()
    dependencies: DependencyEntry | Literal[False] | None = None
    flapping: FlappingEntry | Literal[False] | None = None
    storm: StormEntry | Literal[False] | None = None
    quiet_hours: tuple[QuietEntry, ...] = ()
    maintenance: tuple[MaintenanceEntry, ...] = ()
    digest: DigestEntry | Literal[False] | None = None
    keep: Keep = Keep()

    @property
    def usual_severity(self) -> str:
        if self.default_severity:
            return self.default_severity
        return "warning" if "warning" in self.severities else self.severities[-2:][0]
