"""Runbooks for the tests of the rehearsal, and a way to run the tests that stand in them."""

from __future__ import annotations

from pathlib import Path

from bot import app
from bot.config.linting import gathered
from bot.rehearsal.coverage import Covered
from bot.rehearsal.running import Rehearsal, Result

SCALE = """\
name: scale
title: More pods
start: manual
params:
  replicas: {type: integer, default: 6}
steps:
  - id: scale
    action: k8s.scale
    with: {namespace: shop, deployment: checkout, replicas: "{{ params.replicas }}"}
    verify: {within: 1m, every: 5s}
"""
SEE = """\
  - id: see
    action: prometheus.query
    with: {query: up, expect: "> 0"}
    verify: {within: 1m, every: 5s}
"""


def written(folder: Path, *books: str) -> Path:
    for number, book in enumerate(books):
        (folder / f"{number}.yaml").write_text(book)
    return folder


async def rehearsed(folder: Path, *books: str) -> tuple[list[Result], list[Covered]]:
    """The results of all tests in these runbooks, and what they cover."""
    rehearsal = Rehearsal(gathered([written(folder, *books)], app.registry()))
    return [result async for result in rehearsal.results()], rehearsal.covered()


async def failures(folder: Path, *books: str) -> list[str]:
    """What is not as the tests in these runbooks expect."""
    results, _ = await rehearsed(folder, *books)
    assert results
    return [failure for result in results for failure in result.failures]
