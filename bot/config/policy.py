"""policy.yaml (roles, what runbooks may do and when, what is blacked out) and services.yaml (the catalogue), checked. Used by load."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase

from pydantic import Field

from bot.config.marks import Document, Path, path_text
from bot.config.problems import Problem, nearest, quoted, unknown
from bot.config.server import Part, WebAddress
from bot.domain.allowance import Allowance, Limits
from bot.domain.inhibition import reached
from bot.domain.naming import english_list
from bot.domain.policy import Policy

NAME = "policy.yaml"  # as refusals name it, in Slack too: not where it is on this machine
_WILDCARDS = frozenset("*?[")


class Redact(Part):
    """Patterns of secrets beside those that Tocsin knows."""

    extra: Mapping[str, str] = Field(
        default_factory=dict, description="name: regular expression; what it finds becomes [name]"
    )


class PolicyFile(Part):
    """policy.yaml"""

    roles: Mapping[str, tuple[str, ...]] = Field(default_factory=dict, description="role: people of oncall.yaml")
    allow: tuple[Allowance, ...] = Field(default=(), description="what runbooks may do; what no rule allows is refused")
    runbooks: Limits = Field(
        default=Limits(), description="what holds for all runbooks: who starts them, and when they rest"
    )
    keepers: str = Field(
        default="", max_length=200, description="who may change this file: a role, or words; refusals name them"
    )
    redact: Redact = Redact()


def built(file: PolicyFile, document: Document, names: Mapping[str, str]) -> Policy:
    """The domain's policy. `places` gives the line of every rule and limit that the file has; `names`: what people are called, by key."""
    keepers = " ".join(file.keepers.split())
    if keepers in file.roles:
        members = ", ".join(names.get(key, key) for key in file.roles[keepers])
        keepers = f"the role {keepers} ({members})" if members else f"the role {keepers}"
    return Policy(
        allow=file.allow,
        runbooks=file.runbooks,
        where=NAME,
        places={
            path_text(path): f"{NAME}:{mark.key_line}" if mark.line else f"{NAME} (override)"
            for path, mark in document.marks.items()
            if path and path[0] in ("allow", "runbooks") and len(path) <= 3
        },
        keepers=keepers,
    )


def checked(
    file: PolicyFile,
    document: Document,
    people: Collection[str],
    actions: Collection[str],
    roles: Collection[str],
) -> Iterator[Problem]:
    """Unknown people, actions and roles; folders that cannot be; expressions that cannot be compiled."""
    for role, members in file.roles.items():
        for number, person in enumerate(members):
            if person not in people:
                yield document.problem(("roles", role, number), unknown("person", "people", person, people))
    for number, rule in enumerate(file.allow):
        if rule.approvers and rule.approvers not in roles:
            yield document.problem(("allow", number, "approvers"), unknown("role", "roles", rule.approvers, roles))
    for number, rule in enumerate(file.allow):
        yield from _wrong_rule(rule, document, ("allow", number), actions)
    limits = file.runbooks
    for key, named in (
        ("start", limits.start or ()),
        ("approve", limits.approve or ()),
        ("break_glass", limits.break_glass),
    ):
        for number, role in enumerate(named):
            if role not in roles:
                yield document.problem(("runbooks", key, number), unknown("role", "roles", role, roles))
    for name, pattern in file.redact.extra.items():
        wrong = _bad_expression(pattern)
        if wrong:
            yield document.problem(("redact", "extra", name), wrong)


def _wrong_rule(rule: Allowance, document: Document, path: Path, actions: Collection[str]) -> Iterator[Problem]:
    for index, pattern in enumerate(rule.actions):
        if not _WILDCARDS & set(pattern) and pattern not in actions:
            yield document.problem((*path, "actions", index), unknown("action", "actions", pattern, actions))
    for index, folder in enumerate(rule.folders):
        wrong = _wrong_folder(folder)
        if wrong:
            yield document.problem((*path, "folders", index), f"{wrong}: {quoted(folder)}")
    if rule.max_replicas is not None and rule.max_replicas < 0:
        yield document.problem((*path, "max_replicas"), "wanted 0 or more")


def _wrong_folder(folder: str) -> str:
    if not folder.startswith("/"):
        return "wanted an absolute folder, like /var/log/app; found"
    if {".", ".."} & set(folder.split("/")):
        return "wanted a folder without . and .. in its path; found"
    if not folder.strip("/"):
        return "wanted single folders, not the whole file system; found"
    if _WILDCARDS & set(folder):
        return "a folder is named, with all that is in it, and cannot be a pattern; found"
    return ""


def _bad_expression(pattern: str) -> str:
    try:
        matches_nothing = re.compile(pattern).search("") is not None
    except (re.error, OverflowError, RecursionError) as error:
        return f"not a regular expression: {error}"
    return "also matches the empty text, so it would black out everything" if matches_nothing else ""


def doubtful(file: PolicyFile, document: Document, actions: Collection[str], now: datetime | None) -> Iterator[Problem]:
    """Roles of nobody, rules that allow nothing or more than one thinks, freezes that are over. `now`: None when no clock is at hand."""
    for role, members in file.roles.items():
        if not members:
            yield document.problem(("roles", role), "has no members: nobody can approve for it", key=True)
    for number, rule in enumerate(file.allow):
        yield from _doubtful_rule(rule, document, ("allow", number), actions)
    for number, role in enumerate(file.runbooks.break_glass):
        if role in file.roles and not file.roles[role]:
            words = f"the role {quoted(role)} has no members: nobody of it can break the glass"
            yield document.problem(("runbooks", "break_glass", number), words)
    if file.runbooks.start is not None and not any(file.roles.get(role) for role in file.runbooks.start):
        yield document.problem(("runbooks", "start"), "nobody may start a run by hand", key=True)
    for number, freeze in enumerate(file.runbooks.freeze):
        at: Path = ("runbooks", "freeze", number)
        if freeze.until is not None and now is not None and freeze.until <= now:
            yield document.problem((*at, "until"), f"{quoted(freeze.name)} is over and can go")
        elif freeze.endless:
            words = f"{quoted(freeze.name)} never ends: nothing is changed until somebody takes it out"
            yield document.problem(at, words)


def _doubtful_rule(rule: Allowance, document: Document, path: Path, actions: Collection[str]) -> Iterator[Problem]:
    for index, pattern in enumerate(rule.actions):
        if not _WILDCARDS & set(pattern):
            continue
        if not any(fnmatchcase(action, pattern) for action in actions):
            words = f"no action fits {quoted(pattern)}{nearest(pattern, actions)}"
            yield document.problem((*path, "actions", index), words)
        elif rule.unattended:
            words = f"{quoted(pattern)} with unattended: true lets every action that fits it, also later ones, go without an approval"
            yield document.problem((*path, "actions", index), words)
    if not rule.actions:
        yield document.problem(path, "names no actions, so it allows nothing", key=True)


class Targets(Part):
    """Where a service runs."""

    namespace: str = ""
    deployment: str = ""

    @property
    def given(self) -> dict[str, str]:
        """As labels; what is not said is left out."""
        return {
            name: value for name, value in (("namespace", self.namespace), ("deployment", self.deployment)) if value
        }


class Service(Part):
    """An entry of the catalogue. `name` is its key, the value of the alerts' service label."""

    name: str = ""
    owner: str = ""
    description: str = ""
    dashboards: tuple[WebAddress, ...] = ()
    targets: Targets = Targets()
    depends_on: tuple[str, ...] = Field(
        default=(), description="services of this file; while one of them is down, alerts of this one are held"
    )
    most_severe: str = Field(default="", description="its alerts count as this at most, whatever they say")


def checked_services(
    services: Mapping[str, Service], document: Document, named: Collection[str], severities: Collection[str]
) -> Iterator[Problem]:
    """Unknown services and severities. No `severities`: they are not known."""
    for name, service in services.items():
        if service.most_severe and severities and service.most_severe not in severities:
            words = unknown("severity", "severities", service.most_severe, severities)
            yield document.problem((name, "most_severe"), words)
        for number, other in enumerate(service.depends_on):
            if other not in named:
                yield document.problem((name, "depends_on", number), unknown("service", "services", other, named))
            elif other == name:
                yield document.problem((name, "depends_on", number), "depends on itself")


def doubtful_services(services: Mapping[str, Service], document: Document) -> Iterator[Problem]:
    """Services that need each other, each circle once."""
    direct = {name: service.depends_on for name, service in services.items()}
    below = {name: reached(name, direct) for name in direct}
    told: set[str] = set()
    for name, found in below.items():
        if name in told or name not in found or name in direct[name]:
            continue  # what depends on itself is an error
        circle = [other for other in direct if other in found and name in below[other]]
        told.update(circle)
        words = f"{english_list(circle)} depend on each other, so none of them explains the alerts of another"
        yield document.problem((name, "depends_on"), words, key=True)
