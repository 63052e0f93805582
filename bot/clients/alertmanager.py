"""Alertmanager's silences and alerts. Used by the action alertmanager.silence.

Format: api/v2/openapi.yaml of github.com/prometheus/alertmanager (API v2, since 0.16; `isEqual` since 0.22). A silence that is posted with the id and
the start of an active one and the same matchers changes its end in place (silence.canUpdate in its silence/silence.go). The time is the server's own,
from the `Date` header of its answers: it alone decides when a silence is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import AwareDatetime, Field

from bot.clients.api import Answer, Api, segment
from bot.clients.http import Http, Reply
from bot.domain.matching import Matcher, matcher
from bot.errors import BadInput

MOST_BYTES = 16_000_000  # thousands of alerts, with their annotations: a storm is when silences are needed


class Condition(Answer):
    """A matcher as the API has it."""

    name: str
    value: str
    is_regex: bool = Field(alias="isRegex")
    is_equal: bool = Field(default=True, alias="isEqual")

    @classmethod
    def of(cls, matcher: Matcher) -> Condition:
        return cls(
            name=matcher.name,
            value=matcher.value,
            is_regex=matcher.op.endswith("~"),
            is_equal=not matcher.op.startswith("!"),
        )

    def asked(self) -> Matcher:
        """BadInput when it is none, like a regular expression that is not."""
        op = ("=" if self.is_equal else "!") + ("~" if self.is_regex else "" if self.is_equal else "=")
        try:
            return matcher(str(Matcher(self.name, op, self.value)))
        except ValueError as error:
            raise BadInput(str(error)) from error


class _State(Answer):
    state: str


class Silence(Answer):
    id: str
    status: _State
    matchers: tuple[Condition, ...]
    starts: AwareDatetime = Field(alias="startsAt")
    ends: AwareDatetime = Field(alias="endsAt")
    creator: str = Field(default="", alias="createdBy")
    comment: str = ""


class _Alert(Answer):
    labels: dict[str, str]


class _Made(Answer):
    id: str = Field(alias="silenceID")


class Alertmanager:
    """One Alertmanager (of a cluster any: they tell each other)."""

    def __init__(self, http: Http, server: str) -> None:
        self._api = Api(http, "Alertmanager", server)

    async def silences(self, matchers: Iterable[Matcher]) -> tuple[datetime, list[Silence]]:
        """The server's time, and the silences, ended ones too, that may have these matchers.

        Only equality can be asked for: the server takes a silence's regular expressions for plain values.
        """
        query = [("filter", str(one)) for one in matchers if one.op == "="]
        reply = await self._api.ask("GET", "/api/v2/silences", query=query, most_bytes=MOST_BYTES)
        return _time(reply), self._api.parsed(list[Silence], reply)

    async def hidden_by(self, matchers: Iterable[Matcher]) -> list[str]:
        """The names of the alerts that notify now and would no longer, one each."""
        query = [("filter", str(one)) for one in matchers]
        query += [("active", "true"), ("silenced", "false"), ("inhibited", "false")]
        found = await self._api.read(list[_Alert], "/api/v2/alerts", query, MOST_BYTES)
        return [one.labels.get("alertname", "without a name") for one in found]

    async def silence(
        self,
        matchers: Sequence[Condition],
        starts: datetime,
        ends: datetime,
        comment: str,
        creator: str,
        again: str,
        key: str,
    ) -> str:
        """Make a silence, or change the end of the one whose id is `again`; its id."""
        body = {
            "matchers": [one.model_dump(by_alias=True) for one in matchers],
            "startsAt": _rfc3339(starts),
            "endsAt": _rfc3339(ends),
            "createdBy": creator,
            "comment": comment,
            **({"id": again} if again else {}),
        }
        reply = await self._api.ask("POST", "/api/v2/silences", body=body, key=key)
        return self._api.parsed(_Made, reply).id

    async def expire(self, silence: str) -> None:
        await self._api.ask("DELETE", f"/api/v2/silence/{segment(silence)}")


def _time(reply: Reply) -> datetime:
    try:
        return parsedate_to_datetime(reply.headers.get("date", "")).astimezone(UTC)
    except ValueError as error:
        raise BadInput(
            "Alertmanager: its answer has no Date header, so its time is not known: is a proxy taking it out?"
        ) from error


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
