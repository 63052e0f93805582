"""What runbooks may do, from policy.yaml: deny by default; every refusal says which rule is missing and who may change it."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.plan import Target


class Allowance(BaseModel):
    """One rule of `allow:` in policy.yaml. Patterns are shell-like (`k8s.*`); an empty list of a kind allows nothing of that kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    actions: tuple[str, ...]
    namespaces: tuple[str, ...] = ()
    names: tuple[str, ...] = ("*",)
    hosts: tuple[str, ...] = ()
    max_replicas: int | None = None

    def allows(self, target: Target) -> bool:
        return (
            _any(self.actions, target.action)
            and (not target.namespace or _any(self.namespaces, target.namespace))
            and (not target.name or _any(self.names, target.name))
            and (not target.host or _any(self.hosts, target.host))
        )


class Policy(BaseModel):
    """All allowances; `where` names the file in refusals."""

    model_config = ConfigDict(frozen=True)

    allow: tuple[Allowance, ...] = ()
    where: str = "policy.yaml"

    def refusal(self, target: Target) -> str | None:
        """Why this must not be done; None when a rule allows it."""
        fitting = [rule for rule in self.allow if rule.allows(target)]
        if not fitting:
            return f"{self.where}: no rule under `allow` lets {target.action} touch {target}; whoever maintains {self.where} can add one"
        if target.replicas is not None:
            most = max((rule.max_replicas for rule in fitting if rule.max_replicas is not None), default=None)
            unbounded: list[Any] = [rule for rule in fitting if rule.max_replicas is None]
            if not unbounded and most is not None and target.replicas > most:
                return f"{self.where}: {target} may have at most {most} replicas (max_replicas), {target.replicas} were asked for"
        return None


def _any(patterns: tuple[str, ...], text: str) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
