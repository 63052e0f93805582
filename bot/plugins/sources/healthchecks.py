"""Healthchecks.io, or one of your own: checks that did not report in time, through its webhook integration.

    sources:
      healthchecks:
        bearer: env:HEALTHCHECKS_TOKEN     # or token, in the address
        site: https://healthchecks.io      # where links lead

In Healthchecks: Integrations > Webhook; both "when a check goes down" and "when a check goes up" with POST, the address, the header
`Authorization: Bearer <token>` and this body:

    {"code": "$CODE", "name": $NAME_JSON, "status": "$STATUS", "now": "$NOW", "tags": "$TAGS", "check": $JSON}

With GET the same as parameters: ?code=$CODE&name=$NAME&status=$STATUS&now=$NOW&tags=$TAGS ($JSON and $NAME_JSON are for bodies).
Tags are separated by blanks; `env:prod` becomes the label env. Trap: with only one of the two filled in, nothing is ever over.
Source: https://healthchecks.io/integrations/add_webhook/ (the list of placeholders) and the project's hc/integrations/webhook/transport.py
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("bearer", "token", "basic")
METHODS = ("POST", "GET")

TEST = "TEST"  # the name of the check that the integration's Test! button makes up


class Params(BaseModel):
    """`site`: the address of the Healthchecks that links lead to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: str = Field(default="https://healthchecks.io", pattern=r"^https?://[^\s/]{1,250}(/[^\s]{0,250})?$")


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The check of one notification. Raises BadInput without a code or a name, or without a status."""
    given = payload.fields(incoming, "code, name and status, as the body in the documentation of this source has them")
    fields = payload.folded(given)
    check = payload.inner(given, "check") or given
    code = payload.word(fields, "code", "uuid") or payload.word(check, "uuid", "unique_key")
    name = payload.word(fields, "name", "slug", most=payload.LONGEST_NAME) or payload.word(check, "name", "slug")
    status = (payload.word(fields, "status") or payload.word(check, "status")).lower()
    if not (code or name) or not status:
        raise BadInput(
            f"body: {payload.found(given)}; expected code, name and status (up or down); {payload.fitting(given)}"
        )
    firing = status != "up"
    at = payload.not_after(payload.time(payload.word(fields, "now").replace(" ", "+")), now) or now
    tags = payload.word(fields, "tags") or payload.word(check, "tags")
    labels = payload.tags(",".join(tags.split())) | {
        "alertname": name or f"check {code}",
        "slug": payload.word(fields, "slug") or payload.word(check, "slug"),
        "tocsin_test": "true" if name == TEST else "",
    }
    url = f"{params.site.rstrip('/')}/checks/{code}/details/" if code.replace("-", "").isalnum() else ""
    return Parsed(
        (
            Alert(
                source=source,
                fingerprint=payload.fingerprint(code, {"alertname": labels["alertname"]}),
                firing=firing,
                labels=payload.kept(labels),
                annotations=_annotations(fields, check, labels["alertname"], status),
                starts_at=at,
                ends_at=None if firing else at,
                url=payload.link(url),
            ),
        )
    )


def _annotations(fields: Mapping[str, Any], check: Mapping[str, Any], name: str, status: str) -> dict[str, str]:
    last = payload.word(check, "last_ping")
    return payload.kept(
        {
            "summary": f"{name} is {status}",
            "description": payload.word(fields, "desc") or payload.word(check, "desc"),
            "last_ping": last,
        }
    )
