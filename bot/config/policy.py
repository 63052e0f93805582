"""policy.yaml (roles, what runbooks may do, what is blacked out) and services.yaml (the catalogue), checked. Used by load."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase

from pydantic import Field

from bot.config.marks import Document
from bot.config.problems import Problem, nearest, quoted, unknown
from bot.config.server import Part, WebAddress
from bot.domain.policy import Allowance

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
    redact: Redact = Redact()


def checked(
    file: PolicyFile, document: Document, people: Collection[str], actions: Collection[str]
) -> Iterator[Problem]:
    """Roles with unknown people, rules about unknown actions, expressions that cannot be compiled."""
    for role, members in file.roles.items():
        for number, person in enumerate(members):
            if person not in people:
                yield document.problem(("roles", role, number), unknown("person", "people", person, people))
    for number, rule in enumerate(file.allow):
        for index, pattern in enumerate(rule.actions):
            if not _WILDCARDS & set(pattern) and pattern not in actions:
                words = unknown("action", "actions", pattern, actions)
                yield document.problem(("allow", number, "actions", index), words)
        if rule.max_replicas is not None and rule.max_replicas < 0:
            yield document.problem(("allow", number, "max_replicas"), "wanted 0 or more")
    for name, pattern in file.redact.extra.items():
        wrong = _bad_expression(pattern)
        if wrong:
            yield document.problem(("redact", "extra", name), wrong)


def _bad_expression(pattern: str) -> str:
    try:
        matches_nothing = re.compile(pattern).search("") is not None
    except (re.error, OverflowError, RecursionError) as error:
        return f"not a regular expression: {error}"
    return "also matches the empty text, so it would black out everything" if matches_nothing else ""


def doubtful(file: PolicyFile, document: Document, actions: Collection[str]) -> Iterator[Problem]:
    """Roles of nobody, rules that allow nothing."""
    for role, members in file.roles.items():
        if not members:
            yield document.problem(("roles", role), "has no members: nobody can approve for it", key=True)
    for number, rule in enumerate(file.allow):
        for index, pattern in enumerate(rule.actions):
            if _WILDCARDS & set(pattern) and not any(fnmatchcase(action, pattern) for action in actions):
                words = f"no action fits {quoted(pattern)}{nearest(pattern, actions)}"
                yield document.problem(("allow", number, "actions", index), words)
        if not rule.actions:
            yield document.problem(("allow", number), "names no actions, so it allows nothing", key=True)


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
    depends_on: tuple[str, ...] = ()


def checked_services(services: Mapping[str, Service], document: Document, named: Collection[str]) -> Iterator[Problem]:
    for name, service in services.items():
        for number, other in enumerate(service.depends_on):
            if other not in named:
                yield document.problem((name, "depends_on", number), unknown("service", "services", other, named))
            elif other == name:
                yield document.problem((name, "depends_on", number), "depends on itself")
