"""What a request to the API asks for, read from its method, path and query; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.practice.cluster.auth import Ask
from bot.practice.cluster.errors import ApiError, Cause, bad_request, invalid, no_such_resource
from bot.practice.cluster.resources import BY_PATH, NAMESPACES, PODS, Resource

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
REVIEW = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False)
SUBRESOURCES = {"log": ("get",), "eviction": ("create",), "status": ("get", "update", "patch"),
                "scale": ("get", "update", "patch")}  # fmt: skip


@dataclass
class Call:
    """One request, understood. `body` is parsed JSON, None when there was none."""

    verb: str
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    content_type: str = ""
    body: Any = None

    @property
    def ask(self) -> Ask:
        plural = f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural
        namespace = self.name if self.resource is NAMESPACES else self.namespace
        return Ask(self.verb, self.resource.group, plural, namespace, self.name)

    @property
    def dry_run(self) -> bool:
        return self.query.get("dryRun") == "All" or (isinstance(self.body, dict) and self.body.get("dryRun") == ["All"])

    @property
    def at_all_namespaces(self) -> str | None:
        """The namespace a list is about; None for all."""
        return self.namespace if self.namespace or not self.resource.namespaced else None


def understand(method: str, path: str, query: Mapping[str, str]) -> Call | None:
    """The call, or None when the path is no resource of ours."""
    parts = [p for p in path.split("/") if p]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = BY_PATH.get((group, version, rest[0]))
    if (group, version, rest[0]) == (REVIEW.group, REVIEW.version, REVIEW.plural):
        resource = REVIEW
    if len(rest) > 3 or (resource and namespace and not resource.namespaced):
        return None
    resource = resource or Resource(group, version, rest[0], "")
    name, subresource = ([*rest[1:], "", ""])[:2]
    return Call(_verb(method, name, query), resource, namespace, name, subresource, query)


def _verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method in ("GET", "HEAD"):
        watch = query.get("watch", "") in ("true", "1", "True")
        return ("watch" if watch else "list") if not name else "get"
    if method == "DELETE" and not name:
        return "deletecollection"
    return VERBS.get(method, method.lower())


def served(call: Call) -> bool:
    """Does the resource (or its subresource) take this verb? NotFound when there is no such thing."""
    if not call.resource.kind:
        raise no_such_resource()
    if call.resource is REVIEW:
        return call.verb == "create" and not call.name
    if call.subresource:
        if call.subresource not in SUBRESOURCES:
            raise no_such_resource()
        known = {"status": call.resource.status, "scale": call.resource.scale}
        mine = known.get(call.subresource, call.resource is PODS and call.subresource in ("log", "eviction"))
        return mine and call.verb in SUBRESOURCES[call.subresource]
    anywhere = call.verb in ("list", "watch") or bool(call.namespace) or not call.resource.namespaced
    about_one = call.verb in ("get", "update", "patch", "delete")
    return call.verb in call.resource.verbs and anywhere and (about_one == bool(call.name) or call.verb == "watch")


def check_options(call: Call) -> None:
    """Refuse a dryRun other than All, and a namespace or limit that is none."""
    dry = call.query.get("dryRun")
    if dry not in (None, "All"):
        kind = {"create": "CreateOptions", "update": "UpdateOptions", "delete": "DeleteOptions"}.get(
            call.verb, "PatchOptions"
        )
        text = f'Unsupported value: []string{{"{dry}"}}: supported values: "All"'
        raise invalid(f"{kind}.meta.k8s.io", "", [Cause("dryRun", "FieldValueNotSupported", text)])
    whole_number(call.query, "limit")
    whole_number(call.query, "timeoutSeconds")


def whole_number(query: Mapping[str, str], name: str) -> int:
    try:
        return int(query.get(name) or 0)
    except ValueError as err:
        raise bad_request(f'strconv.ParseInt: parsing "{query[name]}": invalid syntax') from err


def version_asked(query: Mapping[str, str]) -> int:
    """`resourceVersion` of a list or a watch; 0 when it does not matter."""
    text = query.get("resourceVersion") or "0"
    if text.isdigit():
        return int(text)
    why = f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
    raise ApiError(400, "BadRequest", f"resourceVersion: {why}")
