"""Checks of the severities of tocsin.yaml, and of what may be done for each. Used by signal_checks, and by routes for their own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise

from bot.config.channels import LOG, Media
from bot.config.marks import Document, Path
from bot.config.problems import Problem, listed, quoted, unknown
from bot.config.signal import SignalSections
from bot.config.signal_made import media_of, rates_of
from bot.domain.severity import MEDIA


def checked(file: SignalSections, document: Document, known: Sequence[str]) -> Iterator[Problem]:
    """`known`: the severities; none, when they could not be read and nothing can be said about references to them."""
    for number, severity in enumerate(known):
        if severity != severity.strip().lower() or not severity:
            yield document.problem(("severities", number), f"wanted lower-case letters, found {quoted(severity)}")
        if severity in known[:number]:
            yield document.problem(("severities", number), f"{quoted(severity)} is there twice")
    if known and file.usual_severity not in known:
        words = unknown("severity", "severities", file.usual_severity, known)
        yield document.problem(("default_severity",), words)
    words_seen: dict[str, str] = {}
    for word, severity in file.severity_values.items():
        at: Path = ("severity_values", word)
        same = words_seen.setdefault(word.strip().lower(), word)
        if same != word:
            yield document.problem(at, f"is the same as {quoted(same)}: upper and lower case do not count", key=True)
        if known and severity not in known:
            yield document.problem(at, unknown("severity", "severities", severity, known))
    yield from _bad_rates(file, document, known)
    yield from _bad_media(file, document, known)


def _bad_rates(file: SignalSections, document: Document, known: Sequence[str]) -> Iterator[Problem]:
    entry, path = file.burn_rate, ("burn_rate", "at_least")
    if entry is None or not known:
        return
    for severity in entry.at_least:
        if severity not in known:
            yield document.problem((*path, severity), unknown("severity", "severities", severity, known), key=True)
    rates = list(rates_of(entry, known).items())
    if not rates and not entry.at_least:
        yield document.problem(path, f"says no rate for any severity here, like at_least: {{{known[0]}: 14.4}}")
    for (worse, rate), (severity, least) in pairwise(rates):
        if least >= rate:
            words = f"wanted less than for {worse} ({rate:g}), which is more severe, found the number {least:g}"
            yield document.problem((*path, severity), words)


def _bad_media(file: SignalSections, document: Document, known: Sequence[str]) -> Iterator[Problem]:
    for severity, media in file.media.items():
        path: Path = ("media", severity)
        if known and severity not in known:
            yield document.problem(path, unknown("severity", "severities", severity, known), key=True)
        yield from bad_media(media, document, path)


def bad_media(media: Sequence[str], document: Document, path: Path) -> Iterator[Problem]:
    """Also for the `media` of a route. They are kinds of media, or names under `channels`. `document`: tocsin.yaml."""
    known = list(dict.fromkeys([*MEDIA, *document.names("channels")]))
    if not media:
        yield document.problem(path, f"names no medium; [log] pages nobody{listed('media', known)}")
    for number, medium in enumerate(media):
        if medium not in known:
            yield document.problem((*path, number), unknown("medium", "media", medium, known))


def bad_severities(named: Iterable[str], known: Collection[str], document: Document, path: Path) -> Iterator[Problem]:
    """Severities in a list of them that are not `known`; nothing is said when none is."""
    for number, severity in enumerate(named):
        if known and severity not in known:
            yield document.problem((*path, number), unknown("severity", "severities", severity, known))


def doubtful(file: SignalSections, document: Document, set_up: Media) -> Iterator[Problem]:
    """Words that say nothing, and severities that nobody is ever paged for."""
    for word, severity in file.severity_values.items():
        if word.strip().lower() in file.severities:
            words = f"{quoted(word)} is a severity itself; alerts that say so count as {severity}"
            yield document.problem(("severity_values", word), words, key=True)
    for severity, media in file.media.items():
        if severity == file.severities[0] and set(media) <= {"log"}:
            words = f"{severity} is the most severe there is: with [log] nobody is ever paged"
            yield document.problem(("media", severity), words, key=True)
        yield from doubtful_media(media, document, ("media", severity), set_up)
    if set(media_of(file).get(file.usual_severity, MEDIA)) <= {"log"}:
        words = f"alerts with no known severity count as {file.usual_severity}, which is only logged: nobody is paged"
        yield document.problem(("default_severity",), words)


def doubtful_media(media: Sequence[str], document: Document, path: Path, set_up: Media) -> Iterator[Problem]:
    """Also for the `media` of a route."""
    paging = [medium for medium in media if medium != LOG]
    if paging and not set_up.reach(paging):
        words = (
            f"nothing under channels is {' or '.join(paging)}, so nobody can be paged by it; add slack, or set it up"
        )
        yield document.problem(path, words, key=True)
