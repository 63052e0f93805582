"""The three patch formats, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from bot.practice.cluster.errors import ApiError
from bot.practice.cluster.patching import apply, json_patch, merge_patch, strategic

A, B = {"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}


@pytest.mark.parametrize(
    ("original", "patch", "merged"),
    [  # the examples of RFC 7386, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_follows_the_rfc(original: Any, patch: Any, merged: Any) -> None:
    assert merge_patch(original, patch) == merged


@pytest.mark.parametrize(
    ("original", "patch", "merged"),
    [
        ({"containers": [A]}, {"containers": [{"name": "a", "image": "a:2"}]}, {"containers": [A | {"image": "a:2"}]}),
        ({"containers": [A]}, {"containers": [B]}, {"containers": [B, A]}),
        ({"containers": [A, B]}, {"containers": [{"name": "a", "$patch": "delete"}]}, {"containers": [B]}),
        ({"containers": [A, B]}, {"containers": [{"$patch": "replace"}, B]}, {"containers": [B]}),
        (
            {"containers": [A, B]},
            {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]},
            {"containers": [B, A]},
        ),
        ({"args": ["1", "2"]}, {"args": ["3"]}, {"args": ["3"]}),
        ({"finalizers": ["x"]}, {"finalizers": ["y"]}, {"finalizers": ["y", "x"]}),
        ({"finalizers": ["x", "y"]}, {"$deleteFromPrimitiveList/finalizers": ["x"]}, {"finalizers": ["y"]}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"$patch": "replace", "z": 3}}, {"a": {"z": 3}}),
        ({"a": {"x": 1}}, {"a": {"$patch": "delete"}}, {"a": {}}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"$retainKeys": ["y"]}}, {"a": {"y": 2}}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": None}}, {"a": {"y": 2}}),
        (
            {"ports": [{"containerPort": 80, "name": "web"}]},
            {"ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81}]},
            {"ports": [{"containerPort": 80, "name": "web", "protocol": "TCP"}, {"containerPort": 81}]},
        ),
        ({"ports": [{"port": 80}]}, {"ports": [{"port": 80, "name": "web"}]}, {"ports": [{"port": 80, "name": "web"}]}),
        (
            {"volumeMounts": [{"mountPath": "/a", "name": "x"}]},
            {"volumeMounts": [{"mountPath": "/a", "name": "y"}]},
            {"volumeMounts": [{"mountPath": "/a", "name": "y"}]},
        ),
    ],
)
def test_a_strategic_patch_merges_lists_by_their_keys(original: Any, patch: Any, merged: Any) -> None:
    assert strategic(original, patch) == merged


@pytest.mark.parametrize(
    ("original", "operations", "patched"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
        ({"a": 1}, [{"op": "replace", "path": "/a", "value": {"b": 2}}], {"a": {"b": 2}}),
        ({"a": {"b": 1}, "c": {}}, [{"op": "move", "from": "/a/b", "path": "/c/d"}], {"a": {}, "c": {"d": 1}}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
        ({"x/y": 1}, [{"op": "replace", "path": "/x~1y", "value": 2}], {"x/y": 2}),
        ({"x~y": 1}, [{"op": "remove", "path": "/x~0y"}], {}),
        ({"a": 1}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1}),
        ({"a": 1}, [{"op": "add", "path": "", "value": {"b": 1}}], {"b": 1}),
    ],
)
def test_a_json_patch_follows_the_rfc(original: Any, operations: Any, patched: Any) -> None:
    assert json_patch(original, operations) == patched


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/nope"},
        {"op": "replace", "path": "/nope", "value": 1},
        {"op": "add", "path": "/l/9", "value": 1},
        {"op": "add", "path": "/l/x", "value": 1},
        {"op": "jump", "path": "/a"},
        {"op": "add", "path": "a", "value": 1},
        {"path": "/a"},
        "nonsense",
    ],
)
def test_a_json_patch_that_does_not_fit_is_invalid_and_changes_nothing(operation: Any) -> None:
    original = {"a": 1, "l": [1]}
    with pytest.raises(ApiError) as caught:
        json_patch(original, [{"op": "replace", "path": "/a", "value": 7}, operation])
    assert caught.value.code == 422
    assert original == {"a": 1, "l": [1]}


@pytest.mark.parametrize(
    ("kind", "patch", "code"),
    [
        ("application/json-patch+json", {"a": 1}, 400),
        ("application/merge-patch+json", [1], 422),
        ("application/strategic-merge-patch+json", [1], 400),
        ("application/strategic-merge-patch+json", {"containers": [{"image": "without a name"}]}, 500),
        ("application/strategic-merge-patch+json", {"a": {"$patch": "bogus"}}, 500),
    ],
)
def test_a_patch_of_the_wrong_shape_is_refused_as_the_server_does(kind: str, patch: Any, code: int) -> None:
    with pytest.raises(ApiError) as caught:
        apply(kind, {"containers": [dict(A)], "a": {}}, patch)
    assert caught.value.code == code


def test_no_patch_touches_the_original() -> None:
    original = {"spec": {"containers": [dict(A)]}}
    strategic(original, {"spec": {"containers": [{"name": "a", "image": "a:2"}]}})
    merge_patch(original, {"spec": {"containers": None}})
    json_patch(original, [{"op": "remove", "path": "/spec/containers/0"}])
    assert original == {"spec": {"containers": [A]}}
