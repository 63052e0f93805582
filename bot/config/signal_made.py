"""The checked sections of tocsin.yaml about signal and noise, made into the domain's Signal. Used by load."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from bot.config.policy import Service
from bot.config.signal import (
    BurnRateEntry,
    DigestEntry,
    MaintenanceEntry,
    OwnHoursEntry,
    RelabelEntry,
    SignalSections,
)
from bot.domain.digest_times import DigestTimes
from bot.domain.flapping import Flapping
from bot.domain.inhibition import Dependencies, Inhibition, InhibitRule
from bot.domain.matching import Matcher, matcher
from bot.domain.quiet import OwnHours, QuietHours
from bot.domain.relabel import Relabel, Relabelling
from bot.domain.routing import Route, Routing
from bot.domain.severity import DEFAULT_MEDIA, BurnRate, Taxonomy
from bot.domain.signal import Signal
from bot.domain.silence import Silence
from bot.domain.storm import Storm
from bot.domain.windows import EARLIEST

ALWAYS = datetime(EARLIEST, 1, 1, tzinfo=UTC)  # a window that does not say when it begins


def signal(file: SignalSections, route: Route, services: Mapping[str, Service]) -> Signal:
    return Signal(
        routing=Routing(route),
        taxonomy=_taxonomy(file, services),
        relabelling=Relabelling([_relabel(entry) for entry in file.relabel]),
        inhibition=_inhibition(file, services),
        flapping=_flapping(file),
        quiet=tuple(
            QuietHours(entry.name, entry.windows, frozenset(entry.severities), _matchers(entry.match))
            for entry in file.quiet_hours
        ),
        storm=_storm(file),
        maintenance=tuple(_maintenance(entry) for entry in file.maintenance),
    )


def digest(file: SignalSections, fallback_channel: str) -> DigestTimes | None:
    """None: it is not posted."""
    if file.digest is False:
        return None
    entry = file.digest or DigestEntry()
    return DigestTimes(entry.at, entry.zone, entry.channel or fallback_channel)


def own_hours(entry: OwnHoursEntry | None) -> OwnHours:
    return OwnHours(windows=entry.windows, severities=frozenset(entry.severities)) if entry else OwnHours()


def media_of(file: SignalSections) -> dict[str, tuple[str, ...]]:
    """The default table for the severities that it names, and over it what the file says."""
    usual = {name: DEFAULT_MEDIA[name] for name in file.severities if name in DEFAULT_MEDIA}
    return usual | dict(file.media)


def rates_of(entry: BurnRateEntry, severities: Iterable[str]) -> dict[str, float]:
    """The least rates, the most severe first."""
    least = entry.at_least or BurnRate().least
    return {name: least[name] for name in severities if name in least}


def _taxonomy(file: SignalSections, services: Mapping[str, Service]) -> Taxonomy:
    rate = file.burn_rate
    return Taxonomy(
        names=tuple(file.severities),
        default=file.usual_severity,
        label=file.severity_label,
        aliases={word.strip().lower(): severity for word, severity in file.severity_values.items()},
        burn_rate=BurnRate(rate.label, rates_of(rate, file.severities)) if rate else None,
        at_most={name: service.most_severe for name, service in services.items() if service.most_severe},
        media=media_of(file),
    )


def _relabel(entry: RelabelEntry) -> Relabel:
    return Relabel(entry.name, _matchers(entry.match), entry.drop, dict(entry.set), dict(entry.map))


def _inhibition(file: SignalSections, services: Mapping[str, Service]) -> Inhibition:
    rules = [
        InhibitRule(
            name=entry.name or f"inhibit[{number}]",
            source=_matchers(entry.side("source")[1]),
            target=_matchers(entry.side("target")[1]),
            equal=entry.equal,
        )
        for number, entry in enumerate(file.inhibit)
    ]
    if file.dependencies is False:
        return Inhibition(rules)
    named = file.dependencies.severities if file.dependencies else None
    severities = file.severities[:1] if named is None else named
    direct = {name: service.depends_on for name, service in services.items()}
    return Inhibition(rules, Dependencies.of(direct, severities))


def _flapping(file: SignalSections) -> Flapping:
    if file.flapping is False:
        return Flapping(fires=0)
    entry = file.flapping
    return Flapping(entry.fires, entry.within, entry.calm) if entry else Flapping()


def _storm(file: SignalSections) -> Storm:
    if file.storm is False:
        return Storm(more_than=0)
    entry = file.storm
    return Storm(entry.more_than, entry.within) if entry else Storm()


def _maintenance(entry: MaintenanceEntry) -> Silence:
    starts_at = entry.from_ or ALWAYS
    return Silence(
        name=entry.name,
        kind="maintenance",
        matchers=tuple(str(one) for one in _matchers(entry.match)),
        reason=entry.reason,
        starts_at=starts_at,
        ends_at=entry.until,
        windows=entry.windows,
        created_at=starts_at,
    )


def _matchers(match: Iterable[str]) -> tuple[Matcher, ...]:
    return tuple(matcher(text) for text in match)
