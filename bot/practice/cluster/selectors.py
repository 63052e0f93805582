"""Label and field selectors: parsing (the API's `labelSelector`, `fieldSelector`) and matching; pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bot.practice.cluster.errors import bad_request
from bot.practice.cluster.resources import EVENTS, NAMESPACES, NODES, PODS, Obj, Resource

Labels = dict[str, str]
Test = Callable[[Labels], bool]

_SET = re.compile(r"^(?P<key>[\w./-]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[\w./-]+)\s*(?P<op>==|=|!=)\s*(?P<value>[\w.-]*)$")
_EXISTS = re.compile(r"^(?P<no>!?)\s*(?P<key>[\w./-]+)$")

FIELDS: dict[Resource, tuple[str, ...]] = {
    PODS: ("status.phase", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "status.podIP"),
    EVENTS: (
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
        "reason", "reportingComponent", "source", "type",
    ),
    NODES: ("spec.unschedulable",),
    NAMESPACES: ("status.phase",),
}  # fmt: skip


def parse_labels(text: str) -> Test:
    """`app=web,tier in (a,b),!legacy` as a test of an object's labels; BadRequest when it does not parse."""
    tests = [_label_test(part) for part in re.split(r",(?![^(]*\))", text) if part.strip()]
    return lambda labels: all(test(labels) for test in tests)


def _label_test(part: str) -> Test:
    part = part.strip()
    if found := _SET.match(part):
        key, wanted = found["key"], {v.strip() for v in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(key) in wanted
        return lambda labels: key not in labels or labels[key] not in wanted
    if found := _EQUAL.match(part):
        key, value, same = found["key"], found["value"], found["op"] != "!="
        return lambda labels: (labels.get(key) == value) == same
    if found := _EXISTS.match(part):
        key, present = found["key"], not found["no"]
        return lambda labels: (key in labels) == present
    raise bad_request(f"unable to parse requirement: found '{part}', expected: '=', '!=', '==', 'in', notin'")


def selects(selector: Obj | None, labels: Labels) -> bool:
    """A LabelSelector object (matchLabels, matchExpressions); none selects nothing."""
    if not selector:
        return False
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(e, labels) for e in selector.get("matchExpressions") or [])


def _expression(one: Obj, labels: Labels) -> bool:
    key, values = one["key"], one.get("values") or []
    match one["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def parse_fields(resource: Resource, text: str) -> Callable[[Obj], bool]:
    """`metadata.name=web,status.phase!=Running`; a field the resource does not index is BadRequest, as in the API."""
    known = ("metadata.name", "metadata.namespace", *FIELDS.get(resource, ()))
    tests: list[tuple[str, str, bool]] = []
    for part in filter(None, text.split(",")):
        found = re.match(r"^([^=!]+)(!=|==|=)(.*)$", part)
        if not found:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if found[1] not in known:
            if resource in FIELDS:
                raise bad_request(f"field label not supported: {found[1]}")
            names = '"metadata.name", "metadata.namespace"'
            raise bad_request(f'"{found[1]}" is not a known field selector: only {names}')
        tests.append((found[1], found[3], found[2] != "!="))
    return lambda obj: all((_field(obj, path) == value) == same for path, value, same in tests)


def _field(obj: Obj, path: str) -> str:
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return str(value.get("component", ""))
    return "" if value is None else str(value)


def matcher(resource: Resource, labels: str, fields: str) -> Callable[[Obj], bool]:
    """Both selectors of a list or a watch as one test."""
    by_label, by_field = parse_labels(labels), parse_fields(resource, fields)
    return lambda obj: by_label(obj["metadata"].get("labels") or {}) and by_field(obj)
