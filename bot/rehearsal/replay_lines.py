"""Recorded alerts as JSON Lines: what `tocsin replay FILE` reads, and `tocsin alert log` writes. docs/replay.md has the format."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from bot.config import SourceConfig
from bot.domain.alert import Alert
from bot.domain.incoming import Incoming
from bot.domain.naming import nearest
from bot.domain.redaction import Redactor
from bot.errors import BadInput
from bot.plugins import discover, payload
from bot.rehearsal.replay import Arrival

MOST_LINES = 1_000_000
LONGEST_LINE = 5 * 1024 * 1024
MOST_SAID = 10
EXPECTED = 'expected {"at": TIME, "alert": {...}} or {"at": TIME, "source": NAME, "body": ...}'


@dataclass(slots=True)
class Recording:
    """A file of recorded alerts. `arrivals` reads it from the beginning each time; `problems` are those of the latest reading.

    `sources` are those of the configuration, by name: they read the bodies of webhooks. Tests (`tocsin_test`) are left out.
    """

    path: Path
    sources: Mapping[str, SourceConfig]
    redact: Redactor
    problems: list[str] = field(default_factory=list)
    wrong: int = 0
    read: int = 0

    async def arrivals(self) -> AsyncIterator[Arrival]:
        """What came in at the same time together. Raises BadInput when the file cannot be opened, or has no line that could be read."""
        self.problems, self.wrong, self.read = [], 0, 0
        at: datetime | None = None
        together: list[Alert] = []
        for came, alerts in self._lines():
            if at is not None and came != at and together:
                yield at, together
                together = []
            at = came
            together += alerts
        if at is not None and together:
            yield at, together
        if not self.read:
            raise BadInput(
                f"{self.path}: no line of it could be read; {EXPECTED}" + "".join(f"\n  {one}" for one in self.said())
            )

    def said(self) -> list[str]:
        """What could not be read: the first of it, and how much more."""
        more = self.wrong - len(self.problems)
        return [*self.problems, *([f"and {more} more"] if more else [])]

    def _lines(self) -> Iterator[tuple[datetime, list[Alert]]]:
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise BadInput(f"{self.path}: cannot be read: {error.strerror or error}") from error
        with file:
            for number, line in enumerate(_bounded(file), start=1):
                if number > MOST_LINES:
                    raise BadInput(f"{self.path}: more than {MOST_LINES} lines; cut it into parts")
                if line is not None and not line.strip():
                    continue
                try:
                    came, alerts = self._line(line)
                except BadInput as error:
                    self._wrong(number, str(error))
                    continue
                self.read += 1
                yield came, [self.redact.alert(one) for one in alerts if not one.test]

    def _wrong(self, number: int, reason: str) -> None:
        self.wrong += 1
        if len(self.problems) < MOST_SAID:
            self.problems.append(f"line {number}: {self.redact(reason)}")

    def _line(self, line: bytes | None) -> tuple[datetime, list[Alert]]:
        if line is None:
            raise BadInput(f"longer than {LONGEST_LINE} bytes")
        item = payload.members(line, EXPECTED)
        at = payload.time(item.get("at"))
        if at is None:
            raise BadInput(f"at: {payload.found(item.get('at'))}; expected a time like 2026-11-21T03:12:00Z")
        if "body" in item:
            return at, list(self._parsed(item, _body(line), at))
        return at, [_alert(item.get("alert"), at)]

    def _parsed(self, item: Mapping[str, Any], body: bytes, at: datetime) -> Iterator[Alert]:
        """The alerts of a webhook's body, as the source of the configuration reads it."""
        name = payload.text(item.get("source"), 200)
        source = self.sources.get(name)
        if source is None:
            there = ", ".join(self.sources) or "none"
            raise BadInput(f"source: there is no source {name!r}{nearest(name, self.sources)} (sources: {there})")
        headers = {key.lower(): value for key, value in payload.texts(item.get("headers"), "headers")[0].items()}
        incoming = Incoming(body, headers, payload.text(item.get("path"), 500).strip("/"))
        parsed = discover("sources")[source.type].parse(incoming, name, source.params, at)
        if parsed.bad and not parsed.alerts:
            raise BadInput(f"body: {parsed.bad[0][1]}")
        yield from parsed.alerts


def _bounded(file: BinaryIO) -> Iterator[bytes | None]:
    """Line by line; None for one that is too long."""
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) <= LONGEST_LINE:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)
        yield None


def _alert(item: Any, at: datetime) -> Alert:
    """An alert as `written` writes it; what is left out is as harmless as it can be."""
    if not isinstance(item, dict):
        raise BadInput(f"alert: {payload.found(item)}; {EXPECTED}")
    firing, source = item.get("firing"), payload.word(item, "source", most=200)
    if not isinstance(firing, bool):
        raise BadInput(f"alert.firing: {payload.found(firing)}; expected true or false")
    if not source:
        raise BadInput(f"alert.source: {payload.found(item.get('source'))}; expected the name of a source")
    labels, _ = payload.texts(item.get("labels"), "alert.labels")
    annotations, _ = payload.texts(item.get("annotations"), "alert.annotations")
    starts_at, ends_at = payload.time(item.get("starts_at")), payload.time(item.get("ends_at"))
    return Alert(
        source=source,
        fingerprint=payload.fingerprint(item.get("fingerprint"), labels),
        firing=firing,
        labels=labels,
        annotations=annotations,
        starts_at=payload.not_after(starts_at, at) or at,
        ends_at=None if firing else payload.not_after(ends_at, at),
        url=payload.link(item.get("url")),
    )


def written(at: datetime, alert: Alert) -> str:
    """One line, without its end. In ASCII: it may be shown on a terminal, which nothing in an alert may steer."""
    known = {
        "source": alert.source,
        "fingerprint": alert.fingerprint,
        "firing": alert.firing,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "starts_at": alert.starts_at.isoformat(),
        "ends_at": alert.ends_at.isoformat() if alert.ends_at else None,
        "url": alert.url,
    }
    return json.dumps({"at": at.isoformat(), "alert": known}, separators=(",", ":"))


def _body(line: bytes) -> bytes:
    """The webhook's body: text as it is, anything else as JSON again."""
    try:
        body = json.loads(line)["body"]
        return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
    except (ValueError, RecursionError) as error:
        raise BadInput("body: it cannot be read as JSON") from error
