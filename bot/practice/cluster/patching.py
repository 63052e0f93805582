"""The three patch formats of the API as pure functions: JSON merge (RFC 7386), strategic merge, JSON patch (RFC 6902).

Strategic merge follows apimachinery's strategicpatch package, list order included; its merge keys are by field name.
"""

from __future__ import annotations

from typing import Any

from bot.practice.cluster.errors import bad_patch, bad_request, internal, rejected_patch
from bot.practice.cluster.resources import Obj, clone

MERGE, STRATEGIC, JSON_PATCH = (
    "application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json",
)  # fmt: skip
ACCEPTED = (JSON_PATCH, MERGE, STRATEGIC)

MERGE_KEYS = {
    "containers": "name", "initContainers": "name", "ephemeralContainers": "name", "env": "name", "volumes": "name",
    "imagePullSecrets": "name", "ports": "containerPort", "volumeMounts": "mountPath", "volumeDevices": "devicePath",
    "hostAliases": "ip", "topologySpreadConstraints": "topologyKey", "conditions": "type", "ownerReferences": "uid",
    "addresses": "type", "taints": "key", "podIPs": "ip",
}  # fmt: skip
PRIMITIVE_SETS = ("finalizers",)
ORDER, DELETE, RETAIN, PATCH = "$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys", "$patch"


def apply(content_type: str, original: Obj, patch: Any) -> Obj:
    """The patched object. A patch of the wrong shape is BadRequest; one that does not fit the object is Invalid."""
    if content_type == JSON_PATCH:
        if not isinstance(patch, list):
            raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
        return json_patch(original, patch)
    if not isinstance(patch, dict):
        got = "array" if isinstance(patch, list) else "string" if isinstance(patch, str) else "value"
        why = f"json: cannot unmarshal {got} into Go value of type map[string]interface {{}}"
        raise bad_patch(str(patch), why) if content_type == MERGE else bad_request(why)
    if content_type == MERGE:
        merged: Obj = merge_patch(original, patch)
        return merged
    return strategic(original, patch)


def merge_patch(original: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, everything else (lists too) replaces."""
    if not isinstance(patch, dict):
        return clone(patch)
    merged = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def strategic(original: Obj, patch: Obj) -> Obj:
    """Strategic merge of one object: lists with a merge key are merged item by item, `$` directives are obeyed."""
    directive = patch.get(PATCH)
    if directive == "replace":
        return {k: clone(v) for k, v in patch.items() if k != PATCH}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise internal(f"unknown patch type: {directive} in map")
    merged = {k: clone(v) for k, v in original.items()}
    if RETAIN in patch:
        merged = {k: v for k, v in merged.items() if k in patch[RETAIN]}
    for key, value in patch.items():
        if key.startswith(DELETE):
            field = key.removeprefix(DELETE)
            merged[field] = [v for v in merged.get(field) or [] if v not in value]
    for key, value in patch.items():
        if not key.startswith("$"):
            _merge_field(merged, key, value, patch.get(ORDER + key))
    for key, order in patch.items():
        field = key.removeprefix(ORDER)
        if key.startswith(ORDER) and field not in patch and isinstance(merged.get(field), list):
            merged[field] = _ordered(merged[field], order, merged[field], _merge_key(field, merged[field], order))
    return merged


def _merge_field(merged: Obj, key: str, value: Any, order: list[Any] | None) -> None:
    current = merged.get(key)
    if value is None:
        merged.pop(key, None)
    elif isinstance(value, dict):
        merged[key] = strategic(current if isinstance(current, dict) else {}, value)
    elif isinstance(value, list) and key in PRIMITIVE_SETS:
        old = current or []
        merged[key] = _ordered([*old, *(v for v in value if v not in old)], order or value, old, "")
    elif isinstance(value, list) and key in MERGE_KEYS and all(isinstance(v, dict) for v in value):
        merged[key] = _merge_list(key, current or [], value, order)
    else:
        merged[key] = clone(value)


def _merge_key(field: str, *lists: list[Any]) -> str:
    """`ports` merge by containerPort in a container and by port in a Service."""
    key = MERGE_KEYS.get(field, "")
    if field == "ports" and any(isinstance(i, dict) and "port" in i and key not in i for one in lists for i in one):
        return "port"
    return key


def _merge_list(field: str, original: list[Obj], patch: list[Obj], order: list[Any] | None) -> list[Obj]:
    if any(item.get(PATCH) == "replace" for item in patch):
        return [clone(item) for item in patch if item.get(PATCH) != "replace"]
    key = _merge_key(field, original, patch)
    for item in patch:
        if key not in item:
            raise internal(f"map: {item} does not contain declared merge key: {key}")
    gone = [item[key] for item in patch if item.get(PATCH) == "delete"]
    changed = [item for item in patch if item.get(PATCH) != "delete"]
    merged = [clone(item) for item in original if item.get(key) not in gone]
    for item in changed:
        at = next((i for i, m in enumerate(merged) if m.get(key) == item[key]), None)
        if at is None:
            merged.append(strategic({}, item))
        else:
            merged[at] = strategic(merged[at], item)
    return _ordered(merged, changed if order is None else order, original, key)


def _ordered(merged: list[Any], wanted: list[Any], server: list[Any], key: str) -> list[Any]:
    """Items the patch names in the patch's order, each of the others before the first that follows it on the server."""

    def ident(item: Any) -> Any:
        return item.get(key) if isinstance(item, dict) else item

    ranks = {ident(item): i for i, item in reversed(list(enumerate(wanted)))}
    places = {ident(item): i for i, item in reversed(list(enumerate(server)))}
    left = sorted((m for m in merged if ident(m) in ranks), key=lambda m: ranks[ident(m)])
    right = sorted((m for m in merged if ident(m) not in ranks), key=lambda m: places.get(ident(m), len(places)))
    woven: list[Any] = []
    while left and right:
        mine, theirs = places.get(ident(left[0])), places.get(ident(right[0]))
        first = right if mine is not None and theirs is not None and theirs < mine else left
        woven.append(first.pop(0))
    return woven + left + right


def json_patch(original: Obj, operations: list[Any]) -> Obj:
    """RFC 6902, all or nothing."""
    document = clone(original)
    for step in operations:
        try:
            document = _operate(document, step)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as err:
            raise rejected_patch() from err
    if not isinstance(document, dict):
        raise rejected_patch()
    return document


def _operate(document: Any, step: Obj) -> Any:
    kind, path = step["op"], _pointer(step["path"])
    if kind == "test":
        if _found(document, path) != step.get("value"):
            raise ValueError("test failed")
        return document
    if kind in ("add", "replace"):
        if kind == "replace":
            _at(document, path)
        return _put(document, path, clone(step["value"]), insert=kind == "add")
    if kind == "remove":
        _drop(document, path)
        return document
    source = _pointer(step["from"])
    value = clone(_at(document, source))
    if kind == "move":
        _drop(document, source)
    elif kind != "copy":
        raise ValueError(f"unknown operation {kind}")
    return _put(document, path, value, insert=True)


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError("a pointer starts with /")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _index(items: list[Any], part: str, last: int) -> int:
    if not part.isdigit() or int(part) > last:
        raise IndexError(part)
    return int(part)


def _at(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value[_index(value, part, len(value) - 1)] if isinstance(value, list) else value[part]
    return value


def _found(document: Any, path: list[str]) -> Any:
    """As `_at`; a key that is not there is null, as the real server's library has it."""
    parent = _at(document, path[:-1])
    return parent.get(path[-1]) if path and isinstance(parent, dict) else _at(document, path)


def _put(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list) and insert:
        parent.insert(len(parent) if last == "-" else _index(parent, last, len(parent)), value)
    elif isinstance(parent, list):
        parent[_index(parent, last, len(parent) - 1)] = value
    else:
        parent[last] = value
    return document


def _drop(document: Any, path: list[str]) -> None:
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        parent.pop(_index(parent, last, len(parent) - 1))
    else:
        del parent[last]
