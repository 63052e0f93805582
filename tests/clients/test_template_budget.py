"""The time that a template may take is its own: a busy or sleeping machine fails no runbook."""

from __future__ import annotations

import time

import pytest

from bot.clients.bounded_jinja import Budget, TooMuch


def test_time_in_which_the_machine_did_something_else_is_not_the_templates() -> None:
    budget = Budget(steps=10, size=10, seconds=0.02)
    time.sleep(0.05)
    budget.spend()


def spend_for_ever(budget: Budget) -> None:
    while True:
        budget.spend()


def test_time_at_work_is() -> None:
    with pytest.raises(TooMuch, match="longer than"):
        spend_for_ever(Budget(steps=10**9, size=10, seconds=0.02))
