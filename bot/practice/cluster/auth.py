"""Who is asking, and may they: bearer tokens and RBAC rules; the API asks here before every request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.practice.cluster.errors import ApiError, unauthorized


@dataclass(frozen=True)
class Rule:
    """`Rule(("get", "list"), ("pods", "pods/log"), ("",), ("shop",))`; `*` stands for any."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    groups: tuple[str, ...] = ("*",)
    namespaces: tuple[str, ...] = ("*",)
    names: tuple[str, ...] = ("*",)

    def allows(self, ask: Ask) -> bool:
        pairs = (
            (self.verbs, ask.verb), (self.resources, ask.resource), (self.groups, ask.group),
            (self.namespaces, ask.namespace), (self.names, ask.name),
        )  # fmt: skip
        return all("*" in allowed or value in allowed for allowed, value in pairs)


@dataclass(frozen=True)
class User:
    """A name and what it may do."""

    name: str
    rules: tuple[Rule, ...] = ()

    def may(self, ask: Ask) -> bool:
        return any(rule.allows(ask) for rule in self.rules)


@dataclass(frozen=True)
class Ask:
    """What a request wants to do; `resource` includes the subresource (`deployments/scale`)."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


ADMIN = User("admin", (Rule(("*",), ("*",)),))
ANONYMOUS = User("system:anonymous")


def bot(name: str = "incident-bot", namespaces: tuple[str, ...] = ("*",)) -> User:
    """The user the rig calls `bot`: reads, patches and scales Deployments, deletes nothing."""
    apps = ("apps",)
    return User(name, (
        Rule(("get", "list", "watch"), ("deployments", "replicasets"), apps, namespaces),
        Rule(("patch",), ("deployments",), apps, namespaces),
        Rule(("get", "patch"), ("deployments/scale",), apps, namespaces),
        Rule(("get", "list", "watch"), ("pods", "pods/log", "events"), ("",), namespaces),
    ))  # fmt: skip


def reader(name: str = "reader", namespaces: tuple[str, ...] = ("*",)) -> User:
    """As the ClusterRole `view`: reads what is in a namespace; no nodes, no secrets."""
    kinds = ("deployments", "replicasets", "statefulsets", "daemonsets")
    subresources = ("deployments/scale", "deployments/status", "replicasets/scale", "statefulsets/scale")
    things = ("pods", "pods/log", "pods/status", "events", "services", "namespaces")
    read = ("get", "list", "watch")
    return User(name, (Rule(read, kinds + subresources, ("apps",), namespaces), Rule(read, things, ("",), namespaces)))


def identify(authorization: str | None, tokens: Mapping[str, User] | None) -> User:
    """No table of tokens: everyone is admin. No token: anonymous. An unknown token: 401."""
    if tokens is None:
        return ADMIN
    kind, _, token = (authorization or "").partition(" ")
    if not token.strip():
        return ANONYMOUS
    if kind.lower() != "bearer" or token.strip() not in tokens:
        raise unauthorized()
    return tokens[token.strip()]


def authorize(user: User, ask: Ask) -> None:
    """Raise Forbidden in the real server's words unless a rule allows it."""
    if not user.may(ask):
        raise forbidden(user, ask)


def forbidden(user: User, ask: Ask) -> ApiError:
    plural = ask.resource.partition("/")[0]
    what = f"{plural}.{ask.group}" if ask.group else plural
    named = f' "{ask.name}"' if ask.name else ""
    where = f'in the namespace "{ask.namespace}"' if ask.namespace else "at the cluster scope"
    text = (
        f'{what}{named} is forbidden: User "{user.name}" cannot {ask.verb} resource "{ask.resource}" '
        f'in API group "{ask.group}" {where}'
    )
    details = {
        **({"name": ask.name} if ask.name else {}),
        **({"group": ask.group} if ask.group else {}),
        "kind": plural,
    }
    return ApiError(403, "Forbidden", text, details)
