"""Alerts whose texts try to mention, to format, to hide, to overflow or to leak: nothing is injected into Slack, no secret gets anywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.support.program import Program, Witness, program, webhook

MENTIONS = "<!channel> <!here> <!everyone> <@U0ADA> <#C0PR0000001> <!subteam^S0ONCALL> @channel @here"
MARKS = "*bold* _it_ ~no~ `code` ```block``` <https://evil.example|https://bank.example>"
INVISIBLE = "\u202eesrever\u202c zero\u200bwidth \u2066iso\u2069 bom\ufeff"
BREAKS = "one\ntwo\r\nthree\u2028four\u2029five\x00six\x1b[31mred"
LONG = "x" * 10_000
HOSTILE = f"{MENTIONS} {MARKS} {INVISIBLE} {BREAKS} {LONG}"
SECRETS = {
    "password=hunter2": "hunter2",
    "aws_access_key_id=AKIAIOSFODNN7EXAMPLE": "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "wJalrXUtnFEMI",
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl": "eyJhbGciOiJIUzI1NiJ9",
    "postgres://shop:s3cr3tPW@db/orders": "s3cr3tPW",
    "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX": "XXXXXXXXXXXXXXXXXXXXXXXX",
    "token ghp_0123456789abcdefghijABCDEFGHIJ012345": "ghp_0123456789",
}
LINK = re.compile(r"<[^>]*>")
OURS = re.compile(
    r"<!date\^\d+\^\{date_short_pretty\} \{time\}\|[^>]*>|<#C0PR[0-9A-F]+>|<https?://[^|>]*\|[^<>]*>|<@U0\w+>"
)


def hostile(it: Program, text: str, *, firing: bool = True, **labels: str) -> dict[str, Any]:
    body = webhook(it.clock, firing=firing, **labels)
    alert = body["alerts"][0]
    alert["annotations"] = {"summary": text, "description": text, "runbook_url": f"javascript:{text}"}
    alert["labels"] |= {"pod": text, "weird label`<!channel>": "x"}
    alert["generatorURL"] = f"http://prometheus/graph?g0.expr=up|<!channel>&x={text[:100]}"
    return body


async def whole_story(it: Program, text: str, **labels: str) -> None:
    """Everything that shows an incident: channel, card, page, context, run, commands, clicks, post-mortem."""
    status, answer = await it.post(hostile(it, text, **labels))
    assert status == 200, answer
    await it.settle()
    for command in ("list", "show INC-1", f"note INC-1 {text[:2000]}", f"mitigate INC-1 {text[:500]}", "runbook INC-1"):
        await it.command("U0BOB", command)
    await it.click("U0BOB", "tocsin_escalate")
    await it.click("U0BOB", "tocsin_ack")
    await it.command("U0BOB", f"open critical {text[:1000]}")
    await it.post(hostile(it, text, firing=False, **labels))
    await it.wait(5)
    assert (await it.incident()).postmortem_path


def injected(witness: Witness) -> list[str]:
    """What Slack would read as a mention or a link and the bot did not mean."""
    return [
        found
        for kind, text in witness.strings()
        if kind == "mrkdwn"
        for found in LINK.findall(text)
        if not OURS.fullmatch(found) or "evil" in found.partition("|")[0]
    ]


@pytest.mark.parametrize("where", ["summary", "service", "alertname", "namespace"])
async def test_nothing_in_an_alert_is_a_mention_a_link_or_a_mark_in_slack(tmp_path: Path, where: str) -> None:
    async with program(tmp_path) as it:
        witness = Witness(it.world)
        more = {} if where == "summary" else {where: HOSTILE}
        await whole_story(it, HOSTILE, **more)
        await it.command("U0BOB", HOSTILE[:500])
        assert injected(witness) == []
        mentions = [text for kind, text in witness.strings() if kind == "mrkdwn" and "<@" in text]
        assert mentions == [], "nobody is mentioned by an alert"
        assert not re.search("[\u202a-\u202e\u2066-\u2069\ufeff\x00\x1b]", witness.text)
        assert [call for call in it.calls() if not call["ok"]] == [], "Slack refused nothing"
        (channel,) = it.channels("inc-1")
        assert re.fullmatch(r"[a-z0-9_-]{1,80}", channel.name)
        assert "\n" not in channel.topic


async def test_no_secret_gets_into_slack_the_database_a_log_or_a_post_mortem(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    structlog.reset_defaults()
    async with program(tmp_path) as it:
        witness = Witness(it.world)
        await whole_story(it, "\n".join(SECRETS), leaked=" ".join(SECRETS))
        incident = await it.incident()
        written = it.read(incident.postmortem_path)
        metrics = (await it.scrape("/metrics"))[1]
        uploaded = b"".join(file.content for file in it.world.workspace.state.files.values())
        assert it.world.workspace.state.files
    logged = "".join(capfd.readouterr())
    assert "socket mode" in logged, "logs are looked at"
    database = b"".join(path.read_bytes() for path in tmp_path.glob("tocsin.db*"))
    assert b"checkout" in database
    for text, secret in SECRETS.items():
        assert secret not in witness.text, text
        assert secret not in written, text
        assert secret not in logged, text
        assert secret not in metrics, text
        assert secret.encode() not in uploaded, text
        assert secret.encode() not in database, text
        assert json.dumps(secret)[1:-1].encode() not in database, text


async def test_secrets_of_the_crashing_pod_do_not_get_anywhere(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        it.world.cluster.logs_for_bad_image += "\n".join(["", *SECRETS, ""])
        witness = Witness(it.world)
        await it.alert()
        await it.settle()
        await it.alert(firing=False)
        await it.wait(5)
        written = it.read((await it.incident()).postmortem_path)
    database = b"".join(path.read_bytes() for path in tmp_path.glob("tocsin.db*"))
    assert "AKIA" not in witness.text
    for secret in SECRETS.values():
        assert secret not in witness.text
        assert secret not in written
        assert secret.encode() not in database
