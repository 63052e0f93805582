"""Slack reaches Tocsin by signed HTTP requests: what is signed right works; the rest does nothing and is told nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bot.domain.incident import State
from tests.support.program import Program, program

HTTP = {"slack.mode": "http"}


async def deliver(it: Program, payload: dict[str, Any], at: float, secret: str = "") -> tuple[int, str]:
    """Send a click as Slack does."""
    body = urlencode({"payload": json.dumps(payload)})
    stamp = str(int(at))
    key = (secret or it.world.signing_secret).encode()
    signature = "v0=" + hmac.new(key, f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
    headers = {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with it.http.post(f"{it.url}/slack/events", data=body, headers=headers) as answer:
        return answer.status, await answer.text()


def last_click(it: Program) -> dict[str, Any]:
    return next(one["payload"] for one in reversed(it.world.workspace.delivery.log) if one["kind"] == "interactive")


async def test_signed_clicks_and_commands_work(tmp_path: Path) -> None:
    async with program(tmp_path, HTTP) as it:
        await it.alert()
        await it.settle()
        assert "INC-1 is yours" in await it.click("U0BOB", "tocsin_ack")
        assert (await it.incident()).acknowledged_by == "Bob Kahn"
        assert "INC-1" in await it.command("U0ADA", "list")


async def test_a_wrong_signature_or_an_old_timestamp_does_nothing_and_is_told_nothing(tmp_path: Path) -> None:
    async with program(tmp_path, HTTP) as it:
        await it.alert()
        await it.settle()
        button = it.button("tocsin_ack")
        it.world.workspace.delivery.settings.signing_secret = "somebody-else"
        it.world.workspace.delivery.settings.request_url += "?away"
        refused = await it.world.workspace.acts.click("U0BOB", it.channel("inc-1").id, button.ts, "tocsin_ack")
        assert not refused["ok"]
        click = last_click(it)
        it.world.workspace.delivery.settings.signing_secret = "practice-signing-secret"
        for at, secret in ((time.time(), "wrong"), (time.time() - 600, ""), (time.time() + 600, "")):
            status, text = await deliver(it, click, at, secret)
            assert status == 401
            assert "INC" not in text
            assert len(text) < 100
        await it.settle()
        assert (await it.incident()).state is State.TRIGGERED


async def test_without_a_signature_nothing_is_read(tmp_path: Path) -> None:
    async with program(tmp_path, HTTP) as it:
        await it.alert()
        zeros, now = "v0=" + "0" * 64, str(int(time.time()))
        for signature, stamp in (("", ""), (zeros, "never"), (zeros, "9" * 5000), ("v0=é", now), (zeros, now)):
            headers = {"X-Slack-Signature": signature, "X-Slack-Request-Timestamp": stamp}
            for body in (b"", b"payload=%7B%7D", b"\xff\xfe", b"{" * 10_000):
                async with it.http.post(f"{it.url}/slack/events", data=body, headers=headers) as answer:
                    assert 400 <= answer.status < 500
                    assert "Traceback" not in await answer.text()


async def test_a_replayed_click_counts_once(tmp_path: Path) -> None:
    async with program(tmp_path, HTTP) as it:
        await it.alert()
        await it.settle()
        await it.click("U0BOB", "tocsin_escalate")
        before = await it.incident()
        assert before.tracks[0].step == 2, "the next level"
        for _ in range(3):
            status, text = await deliver(it, last_click(it), time.time())
            assert (status, text) == (200, "")
        await it.settle()
        after = await it.incident()
        assert (after.tracks[0].step, after.seq) == (2, before.seq)
