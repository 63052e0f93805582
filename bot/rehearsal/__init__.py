"""Runs the `tests:` of runbooks over the real engine without any outside world: a store in memory, a clock that jumps, pretended actions.

Called by `tocsin runbook test`. docs/runbook-reference.md says how a test is written.
"""
