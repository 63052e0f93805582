"""The API's refusals, each with the Status body and the words of the real server; raised anywhere, rendered by `api`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.practice.cluster.resources import Obj, Resource


@dataclass(frozen=True)
class Cause:
    """One thing wrong with one field: `Cause("spec.replicas", "FieldValueInvalid", "Invalid value: -1: ...")`."""

    field: str
    reason: str
    message: str


class ApiError(Exception):
    """A request that ends in a Status object other than Success."""

    def __init__(self, code: int, reason: str, message: str, details: Obj | None = None, retry_after: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after
        if retry_after:
            details = {**(details or {}), "retryAfterSeconds": retry_after}
        self.body: Obj = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, **({"details": details} if details is not None else {}), "code": code,
        }  # fmt: skip


def _details(resource: Resource, name: str) -> Obj:
    details: Obj = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    return {**details, "kind": resource.plural}


def not_found(resource: Resource, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    text = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", text, _details(resource, name))


def conflict_of_kind(resource: Resource, name: str, why: str) -> ApiError:
    """A precondition that does not hold: this message names the kind, not the resource."""
    text = f'Operation cannot be fulfilled on {resource.qualified_kind} "{name}": {why}'
    return ApiError(409, "Conflict", text, {**_details(resource, name), "kind": resource.kind})


def check_preconditions(resource: Resource, name: str, found: Obj, options: Obj) -> None:
    """Refuse a deletion that is meant for another object of the same name, or for another version of it."""
    wanted = options.get("preconditions") or {}
    for field, title, fate in (
        ("uid", "UID", "deleted and then recreated"), ("resourceVersion", "ResourceVersion", "modified"),
    ):  # fmt: skip
        asked, known = wanted.get(field), found["metadata"][field]
        if asked not in (None, known):
            text = f"the {title} in the precondition ({asked}) does not match the {title} in record ({known})"
            raise conflict_of_kind(resource, name, f"{text}. The object might have been {fate}")


def invalid(qualified_kind: str, name: str, causes: list[Cause]) -> ApiError:
    lines = [f"{c.field}: {c.message}" for c in causes]
    text = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    kind, _, group = qualified_kind.partition(".")
    details: dict[str, Any] = {"name": name, "group": group, "kind": kind}
    details = {k: v for k, v in details.items() if v}
    details["causes"] = [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]
    return ApiError(422, "Invalid", f'{qualified_kind} "{name}" is invalid: {text}', details)


def bad_patch(shown: str, why: str) -> ApiError:
    """A patch whose result is no object of the kind at all."""
    return invalid("", "", [Cause("patch", "FieldValueInvalid", f'Invalid value: "{shown}": {why}')])


def internal(message: str) -> ApiError:
    """A refusal the real server gives as a bare 500, without a reason."""
    return ApiError(500, "", message)


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def rejected_patch() -> ApiError:
    """What a JSON patch that cannot be applied gets (a failed `test`, a missing path)."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def unsupported_media_type(accepted: tuple[str, ...]) -> ApiError:
    text = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return ApiError(415, "UnsupportedMediaType", text)


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def no_such_resource() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def too_large(limit: int) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(asked: int, current: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {asked} ({current})")


def evict_refused(name: str, budget: str, needed: int, healthy: int) -> ApiError:
    text = "Cannot evict pod as it would violate the pod's disruption budget."
    why = f"The disruption budget {budget} needs {needed} healthy pods and has {healthy} currently"
    return ApiError(429, "TooManyRequests", text, {"causes": [{"reason": "DisruptionBudget", "message": why}]})
