"""Coverage says which steps and branches the tests of a runbook reach: also of runbooks that others call."""

from __future__ import annotations

from pathlib import Path

from tests.rehearsal.books import rehearsed

NODES = """\
name: nodes
title: Close nodes
start: manual
params:
  names: {default: "a b"}
  really: {type: boolean, default: true}
steps:
  - id: close
    action: k8s.cordon
    foreach: 'params.names == "none" ? [] : params.names == "a b" ? ["a", "b"] : [params.names]'
    most: 5
    with: {node: "{{ item }}"}
  - id: both
    if: params.really
    parallel:
      - id: post
        action: slack.post
        with: {text: "closed"}
      - id: scale
        action: k8s.scale
        on_failure: continue
        with: {namespace: shop, deployment: checkout, replicas: 6}
"""
OUTER = """\
name: outer
title: Outer
start: manual
params:
  names: {default: "a b"}
steps:
  - id: inner
    call: nodes
    if: params.names != "nothing"
    with: {names: "{{ params.names }}"}
tests:
  - name: it closes what it is told
    facts: {inner.scale: {replicas: 2}}
    expect: {steps: {inner: done, inner.post: done}}
  - name: one node
    params: {names: c}
    fail: {inner.scale: refused}
    expect: {steps: {inner.scale: failed, inner.close: done}}
"""


async def test_what_the_tests_do_not_reach_is_named(tmp_path: Path) -> None:
    book = f"{NODES}tests: [{{name: a, expect: {{steps: {{close: done, scale: done}}}}}}]\n"
    results, [covered] = await rehearsed(tmp_path, book)
    assert results[0].failures == ()
    assert covered.steps == (4, 4)
    assert covered.branches == (2, 5)
    assert covered.missing == ("close: foreach: empty", "both: if: false", "scale: its failure")
    assert covered.percent == 66


async def test_every_branch_can_be_reached(tmp_path: Path) -> None:
    book = f"""{NODES}tests:
  - name: some
    fail: {{scale: refused}}
    expect: {{steps: {{scale: failed, post: done}}}}
  - name: none
    params: {{names: none, really: "no"}}
    expect: {{steps: {{close: skipped, both: skipped}}}}
"""
    results, [covered] = await rehearsed(tmp_path, book)
    assert [result.failures for result in results] == [(), ()]
    assert (covered.percent, covered.missing) == (100, ())


async def test_a_called_runbook_is_covered_by_the_tests_of_its_caller(tmp_path: Path) -> None:
    results, [nodes, outer] = await rehearsed(tmp_path, NODES, OUTER)
    assert [result.failures for result in results] == [(), ()]
    assert (nodes.steps, nodes.missing) == ((4, 4), ("close: foreach: empty", "both: if: false"))
    assert (outer.steps, outer.branches, outer.missing) == ((1, 1), (1, 2), ("inner: if: false",))


async def test_a_call_that_is_not_wanted_covers_nothing_of_what_it_calls(tmp_path: Path) -> None:
    only = (
        OUTER.partition("tests:")[0]
        + "tests: [{name: a, params: {names: nothing}, expect: {steps: {inner: skipped}}}]\n"
    )
    results, [nodes, outer] = await rehearsed(tmp_path, NODES, only)
    assert [result.failures for result in results] == [()]
    assert (nodes.steps, nodes.branches) == ((0, 4), (0, 5))
    assert outer.missing == ("inner", "inner: if: true")
