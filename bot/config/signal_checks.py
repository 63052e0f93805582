"""What is wrong, and what is doubtful, in the sections of tocsin.yaml about signal and noise. Used by load."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from bot.config import signal_severities
from bot.config.channels import Media
from bot.config.marks import Document, Path
from bot.config.problems import Problem, quoted
from bot.config.routes import bad_matchers
from bot.config.signal import InhibitEntry, MaintenanceEntry, OwnHoursEntry, QuietEntry, RelabelEntry, SignalSections
from bot.domain.matching import matcher
from bot.domain.windows import Window

OWN_QUIET = "people"  # what an alert is held by when everybody who would be paged has quiet hours of their own
_LABEL = re.compile(r"""[^\s{}$|,=!~"'\\\x00-\x1f]{1,200}""")
_NAMED = re.compile(r"\$\{(?P<name>[^}]*)(?P<end>\}?)")


def checked(file: SignalSections, document: Document, bad: Collection[str]) -> Iterator[Problem]:
    """`bad` names the sections that could not be read; without the severities nothing can be said about references to them."""
    known = () if "severities" in bad else file.severities
    yield from signal_severities.checked(file, document, known)
    for path, severities in _named_severities(file):
        yield from signal_severities.bad_severities(severities, known, document, path)
    named: tuple[tuple[str, Sequence[RelabelEntry | QuietEntry | MaintenanceEntry]], ...] = (
        ("relabel", file.relabel),
        ("quiet_hours", file.quiet_hours),
        ("maintenance", file.maintenance),
    )
    for section, entries in named:
        yield from _bad_names(section, [entry.name for entry in entries], document)
        for number, entry in enumerate(entries):
            yield from bad_matchers(entry.match, document, (section, number, "match"))
    if file.dependencies and file.dependencies.severities == ():
        words = "names no severity, so nothing would be held; to switch it off, write dependencies: false"
        yield document.problem(("dependencies", "severities"), words)
    for number, rule in enumerate(file.relabel):
        yield from _bad_relabel(rule, document, ("relabel", number))
    for number, inhibit in enumerate(file.inhibit):
        yield from _bad_inhibit(inhibit, document, ("inhibit", number))
    for number, hours in enumerate(file.quiet_hours):
        yield from endless_hours(hours, document, ("quiet_hours", number))
    for number, work in enumerate(file.maintenance):
        yield from _bad_maintenance(work, document, ("maintenance", number))


def endless_hours(hours: OwnHoursEntry, document: Document, path: Path) -> Iterator[Problem]:
    for number, window in enumerate(hours.windows):
        if window.endless:
            words = 'never ends, so what it holds would never be seen; add between: ["22:00", "07:00"], days or until'
            yield document.problem((*path, "windows", number), words)


def _named_severities(file: SignalSections) -> Iterator[tuple[Path, Sequence[str]]]:
    """Every list of severities, and where it is."""
    if file.dependencies and file.dependencies.severities is not None:
        yield ("dependencies", "severities"), file.dependencies.severities
    for number, hours in enumerate(file.quiet_hours):
        yield ("quiet_hours", number, "severities"), hours.severities


# ------------------------------------------------------------------------------------------------ rules


def _bad_names(section: str, names: Sequence[str], document: Document) -> Iterator[Problem]:
    """Alerts are held by name, so a name says one thing. Windows that people make have numbers."""
    for number, name in enumerate(names):
        path: Path = (section, number, "name")
        if name in names[:number]:
            yield document.problem(path, f"{quoted(name)} is there twice; give each its own")
        elif name.isdecimal():
            yield document.problem(path, f"a name cannot be a number, found {quoted(name)}; say what it is for")
        elif section == "quiet_hours" and name == OWN_QUIET:
            yield document.problem(path, f"{quoted(name)} stands for people's own quiet hours; use another name")


def _bad_relabel(rule: RelabelEntry, document: Document, path: Path) -> Iterator[Problem]:
    changes = [key for key in ("set", "map") if getattr(rule, key)]
    if rule.drop and changes:
        words = f"drops the alert, so its {' and '.join(changes)} would never count; make that a rule of its own"
        yield document.problem(path, words, key=True)
    if rule.drop and not rule.match:
        yield document.problem(path, "would drop every alert; add match: [...]", key=True)
    if not rule.drop and not rule.set and not any(rule.map.values()):
        yield document.problem(path, "does nothing; wanted drop: true, set: {label: text} or map: {...}", key=True)
    for key in changes:
        for label in getattr(rule, key):
            if not _LABEL.fullmatch(label):
                yield document.problem((*path, key, label), _no_label(label), key=True)
    for label, text in rule.set.items():
        wrong = _bad_text(text)
        if wrong:
            yield document.problem((*path, "set", label), wrong)


def _bad_text(text: str) -> str:
    for named in _NAMED.finditer(text):
        name = named["name"]
        if not named["end"]:
            return f"{quoted(named[0])} has no end; write ${{label}}"
        if ":-" in name:
            plain = name.partition(":")[0]
            return f'{quoted(named[0])}: there are no defaults; use a second rule, with match: [{plain}=""]'
        if name.isdecimal():
            return f"{quoted(named[0])}: there are no groups of expressions; ${{label}} stands for a label's value"
        if not _LABEL.fullmatch(name):
            return f"{quoted(named[0])}: {_no_label(name)}"
    return ""


def _no_label(name: str) -> str:
    return f"not the name of a label: {quoted(name)}; it cannot be empty or have spaces, quotes or any of {{}}$|,=!~"


def _bad_inhibit(rule: InhibitEntry, document: Document, path: Path) -> Iterator[Problem]:
    for side in ("source", "target"):
        key, match = rule.side(side)
        yield from bad_matchers(match, document, (*path, key))
    if not rule.side("source")[1]:
        words = "has no source: every alert would hold others; add source: [...], the alert that explains them"
        yield document.problem(path, words, key=True)
    for number, label in enumerate(rule.equal):
        if not _LABEL.fullmatch(label):
            yield document.problem((*path, "equal", number), _no_label(label))


def _bad_maintenance(work: MaintenanceEntry, document: Document, path: Path) -> Iterator[Problem]:
    if not work.match:
        yield document.problem(path, "has no match: it would silence everything; name what is worked on", key=True)
        return
    try:
        matchers = [matcher(text) for text in work.match]
    except (ValueError, OverflowError, RecursionError):
        return  # told already
    if all(one.fits("") for one in matchers):
        words = "also matches alerts that have none of these labels, so it would silence nearly everything; name what is worked on"
        yield document.problem((*path, "match"), words, key=True)


# ------------------------------------------------------------------------------------------------ doubts


def doubtful(file: SignalSections, document: Document, set_up: Media, now: datetime | None) -> Iterator[Problem]:
    """What would make nobody hear of something bad, and what has no effect. `now`: None when no clock is at hand."""
    worst = file.severities[0]
    yield from signal_severities.doubtful(file, document, set_up)
    for number, rule in enumerate(file.inhibit):
        if not rule.side("target")[1] and not rule.equal:
            words = "has neither target nor equal: one alert that fires would hold all others"
            yield document.problem(("inhibit", number), words, key=True)
    for number, hours in enumerate(file.quiet_hours):
        yield from quiet_for_the_worst(hours, worst, document, ("quiet_hours", number))
    for number, work in enumerate(file.maintenance):
        yield from _doubtful_maintenance(work, document, ("maintenance", number), now)


def quiet_for_the_worst(hours: OwnHoursEntry, worst: str, document: Document, path: Path) -> Iterator[Problem]:
    if worst in hours.severities:
        who = "nobody is" if isinstance(hours, QuietEntry) else "this person is not"
        words = f"{worst} is the most severe there is: {who} paged for it in these hours"
        yield document.problem((*path, "severities", hours.severities.index(worst)), words)


def _doubtful_maintenance(
    work: MaintenanceEntry, document: Document, path: Path, now: datetime | None
) -> Iterator[Problem]:
    if now is not None and _over(work, now):
        at = (*path, "until") if work.until is not None else path
        yield document.problem(at, f"{quoted(work.name)} is over and can go")
    elif work.endless:
        words = f"{quoted(work.name)} never ends: what it matches pages nobody until somebody takes it out"
        yield document.problem(path, words)


def _over(work: MaintenanceEntry, now: datetime) -> bool:
    def ended(one: MaintenanceEntry | Window) -> bool:
        return one.until is not None and one.until <= now

    return ended(work) or (bool(work.windows) and all(ended(window) for window in work.windows))
