"""What the API refuses in an object: 400 for a field of the wrong type, 422 with one cause per wrong value; pure."""

from __future__ import annotations

import json
import re
from typing import Any

from bot.practice.cluster.errors import ApiError, Cause, bad_request, invalid
from bot.practice.cluster.resources import DAEMONSETS, DEPLOYMENTS, EVENTS, PODS, STATEFULSETS, WORKLOADS, Obj, Resource
from bot.practice.cluster.selectors import selects

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
LABEL_KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
PERCENT_RULE = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
NOT_NEGATIVE = "must be greater than or equal to 0"
NUMBERS = (("replicas", "int32"), ("minReadySeconds", "int32"), ("revisionHistoryLimit", "int32"),
           ("progressDeadlineSeconds", "int32"))  # fmt: skip
GO = {str: "string", int: "number", float: "number", bool: "bool", list: "array", dict: "object"}
MUTABLE_POD_FIELDS = ("activeDeadlineSeconds", "terminationGracePeriodSeconds", "tolerations")


def wrong(field: str, value: Any, why: str) -> Cause:
    shown = json.dumps(value) if isinstance(value, str | int | float) else go_map(value)
    return Cause(field, "FieldValueInvalid", f"Invalid value: {shown}: {why}")


def required(field: str, why: str = "") -> Cause:
    return Cause(field, "FieldValueRequired", "Required value" + (f": {why}" if why else ""))


def go_map(value: Any) -> str:
    """A Go map of strings as `%#v` shows it."""
    if isinstance(value, dict) and not value:
        return "map[string]string(nil)"
    if not isinstance(value, dict):
        return json.dumps(value)
    inner = ", ".join(f'"{k}":"{v}"' for k, v in sorted(value.items()))
    return f"map[string]string{{{inner}}}"


def check_types(resource: Resource, obj: Obj) -> None:
    """Refuse what Go's decoder would: a string for a number, a list for a map."""
    for path, kind, name in (
        ("metadata", dict, "ObjectMeta"), ("metadata.labels", dict, "map[string]string"),
        ("metadata.annotations", dict, "map[string]string"), ("spec", dict, f"{resource.kind}Spec"),
        ("spec.template", dict, "PodTemplateSpec"), ("spec.template.metadata", dict, "ObjectMeta"),
        ("spec.template.metadata.annotations", dict, "map[string]string"),
        ("spec.template.metadata.labels", dict, "map[string]string"),
        ("spec.template.spec", dict, "PodSpec"), ("spec.template.spec.containers", list, "[]v1.Container"),
    ):  # fmt: skip
        value = _dig(obj, path)
        if value is not None and not isinstance(value, kind):
            raise _undecodable(resource, path, value, f"v1.{name}" if name[0].isupper() else name)
        if isinstance(value, dict) and path.endswith(("labels", "annotations")):
            for one in value.values():
                if not isinstance(one, str):
                    raise _undecodable(resource, path, one, "string")
    for field, kind_name in NUMBERS:
        value = _dig(obj, f"spec.{field}")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise _undecodable(resource, f"spec.{field}", value, kind_name)
    paused = _dig(obj, "spec.paused")
    if paused is not None and not isinstance(paused, bool):
        raise _undecodable(resource, "spec.paused", paused, "bool")


def _undecodable(resource: Resource, path: str, value: Any, wanted: str) -> ApiError:
    what = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
    got = GO.get(type(value), "value")
    field = f"{resource.kind}{'Spec' if path.startswith('spec.') else ''}.{path}"
    return bad_request(f"{what}: json: cannot unmarshal {got} into Go struct field {field} of type {wanted}")


def check(resource: Resource, new: Obj, old: Obj | None = None) -> None:
    """Raise Invalid (422) naming everything wrong with the object, or with the change from `old`."""
    name = new["metadata"].get("name", "")
    causes = [*([] if old else _name(resource, name)), *_labels(new["metadata"].get("labels") or {})]
    if resource in WORKLOADS:
        causes += _workload(resource, new.get("spec") or {}, old)
    elif resource is PODS and old is None:
        causes += _pod_spec("spec", new.get("spec") or {})
    elif resource is PODS and old and _frozen(new["spec"]) != _frozen(old["spec"]):
        why = "pod updates may not change fields other than `spec.containers[*].image`, `spec.tolerations`"
        causes.append(Cause("spec", "FieldValueForbidden", f"Forbidden: {why}"))
    elif resource is EVENTS and not new.get("involvedObject"):
        causes.append(required("involvedObject.namespace"))
    if causes:
        raise invalid(resource.qualified_kind, name, causes)


def _name(resource: Resource, name: str) -> list[Cause]:
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    if len(name) > 253:
        return [wrong("metadata.name", name, "must be no more than 253 characters")]
    return [] if NAME.fullmatch(name) else [wrong("metadata.name", name, NAME_RULE)]


def _labels(labels: dict[str, str]) -> list[Cause]:
    causes = []
    for key, value in labels.items():
        prefix, _, name = key.rpartition("/")
        if not LABEL_PART.fullmatch(name) or (prefix and not NAME.fullmatch(prefix)):
            causes.append(wrong("metadata.labels", key, LABEL_KEY_RULE))
        if value and not LABEL_PART.fullmatch(value):
            causes.append(wrong("metadata.labels", value, LABEL_VALUE_RULE))
    return causes


def _workload(resource: Resource, spec: Obj, old: Obj | None) -> list[Cause]:
    causes = []
    for field, _ in NUMBERS:
        if spec.get(field, 0) < 0:
            causes.append(wrong(f"spec.{field}", spec[field], NOT_NEGATIVE))
    selector, template = spec.get("selector"), spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector is None:
        causes.append(required("spec.selector"))
    elif not selector.get("matchLabels") and not selector.get("matchExpressions"):
        causes.append(wrong("spec.selector", selector, f"empty selector is invalid for {resource.kind.lower()}"))
    if selector is None or not selects(selector, labels):
        text = "`selector` does not match template `labels`"
        causes.append(wrong("spec.template.metadata.labels", labels, text))
    pod = template.get("spec") or {}
    causes += _pod_spec("spec.template.spec", pod)
    if pod.get("restartPolicy", "Always") != "Always":
        text = f'Unsupported value: "{pod["restartPolicy"]}": supported values: "Always"'
        causes.append(Cause("spec.template.spec.restartPolicy", "FieldValueNotSupported", text))
    causes += _strategy(spec) if resource is DEPLOYMENTS else _update_strategy(resource, spec)
    if old is not None and selector != old["spec"].get("selector"):
        causes.append(wrong("spec.selector", json.dumps(selector, separators=(",", ":")), "field is immutable"))
    return causes


def _strategy(spec: Obj) -> list[Cause]:
    strategy = spec.get("strategy") or {}
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind not in ("RollingUpdate", "Recreate"):
        text = f'Unsupported value: "{kind}": supported values: "Recreate", "RollingUpdate"'
        return [Cause("spec.strategy", "FieldValueNotSupported", text)]
    if kind == "Recreate" and rolling is not None:
        text = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        return [Cause("spec.strategy.rollingUpdate", "FieldValueForbidden", text)]
    causes = [cause for key in ("maxUnavailable", "maxSurge") for cause in _part(key, (rolling or {}).get(key, 0))]
    if causes:
        return causes
    zero = [str((rolling or {}).get(k, 1)).rstrip("%") == "0" for k in ("maxSurge", "maxUnavailable")]
    if kind == "RollingUpdate" and all(zero):
        field = "spec.strategy.rollingUpdate.maxUnavailable"
        return [wrong(field, 0, "may not be 0 when `maxSurge` is 0")]
    if spec.get("progressDeadlineSeconds", 600) <= spec.get("minReadySeconds", 0):
        return [wrong("spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"],
                      "must be greater than minReadySeconds")]  # fmt: skip
    return []


def _part(key: str, value: Any) -> list[Cause]:
    """`maxSurge` and `maxUnavailable`: a number from 0 up, or a percentage."""
    field = f"spec.strategy.rollingUpdate.{key}"
    if isinstance(value, int):
        return [wrong(field, value, NOT_NEGATIVE)] if value < 0 else []
    shown = f'Invalid value: intstr.IntOrString{{Type:1, IntVal:0, StrVal:"{value}"}}'
    if not re.fullmatch(r"[0-9]+%", str(value)):
        return [Cause(field, "FieldValueInvalid", f"{shown}: {PERCENT_RULE}")]
    if key == "maxUnavailable" and int(value[:-1]) > 100:
        return [Cause(field, "FieldValueInvalid", f"{shown}: must not be greater than 100%")]
    return []


def _update_strategy(resource: Resource, spec: Obj) -> list[Cause]:
    if resource not in (STATEFULSETS, DAEMONSETS) or spec["updateStrategy"]["type"] in ("RollingUpdate", "OnDelete"):
        return []
    text = f'Unsupported value: "{spec["updateStrategy"]["type"]}": supported values: "OnDelete", "RollingUpdate"'
    return [Cause("spec.updateStrategy", "FieldValueNotSupported", text)]


def _pod_spec(field: str, spec: Obj) -> list[Cause]:
    boxes = spec.get("containers") or []
    if not boxes:
        return [required(f"{field}.containers")]
    causes, seen = [], set()
    for i, box in enumerate(boxes):
        at = f"{field}.containers[{i}]"
        if not box.get("name"):
            causes.append(required(f"{at}.name"))
        elif not DNS_LABEL.fullmatch(box["name"]):
            causes.append(wrong(f"{at}.name", box["name"], DNS_LABEL_RULE))
        elif box["name"] in seen:
            causes.append(Cause(f"{at}.name", "FieldValueDuplicate", f'Duplicate value: "{box["name"]}"'))
        if not box.get("image"):
            causes.append(required(f"{at}.image"))
        seen.add(box.get("name"))
    return causes


def _frozen(spec: Obj) -> Obj:
    rest = {k: v for k, v in spec.items() if k not in MUTABLE_POD_FIELDS}
    return {**rest, "containers": [{**box, "image": ""} for box in spec.get("containers") or []]}


def _dig(obj: Any, path: str) -> Any:
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj
