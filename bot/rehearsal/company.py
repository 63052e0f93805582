"""The people of a rehearsal and what runbooks may do there: pretended members for every role, and a policy that allows everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bot.domain.allowance import Limits
from bot.domain.people import Actor, Directory, Person
from bot.domain.plan import Plan, Target
from bot.domain.policy import Policy
from bot.domain.rules import Rules
from bot.domain.runbook import Approval, Runbook

FEWEST = 2


class AllowsEverything(Policy):
    """What policy.yaml would refuse is not what a runbook's own tests are about."""

    def refusal(self, target: Target, plan: Plan | None = None) -> str | None:
        return None


def rules_for(library: Mapping[str, Runbook]) -> Rules:
    """Every role that these runbooks name has members `ROLE-1`, `ROLE-2` and as many more as an approval wants."""
    wanted: dict[str, int] = {}
    for role, people in _roles(library.values()):
        wanted[role] = max(wanted.get(role, FEWEST), people)
    roles = {role: tuple(f"{role}-{number}" for number in range(1, most + 1)) for role, most in wanted.items()}
    everybody = [person for members in roles.values() for person in members]
    directory = Directory(people={key: Person(key=key, name=key) for key in everybody}, roles=roles)
    return Rules(
        directory=directory,
        runbooks=dict(library),
        actions=AllowsEverything(runbooks=Limits(break_glass=tuple(roles))),
    )


def starter_of(runbook: Runbook) -> str:
    """Who starts a runbook: the first of the role that approves it."""
    return f"{runbook.approve.role}-1"


def actor_of(name: str, directory: Directory) -> Actor:
    """Somebody by name; whoever is in no role is a stranger."""
    person = directory.people.get(name)
    return Actor(id=name if person else f"slack:{name}", name=person.name if person else name)


def _roles(library: Iterable[Runbook]) -> Iterator[tuple[str, int]]:
    for runbook in library:
        yield _of(runbook.approve)
        for step in runbook.every_step():
            if step.approve is not None:
                yield _of(step.approve)
            role = step.with_.get("role")
            if isinstance(role, str) and role and "{{" not in role:
                yield role, 1


def _of(approval: Approval) -> tuple[str, int]:
    return approval.role, approval.people + approval.not_requester
