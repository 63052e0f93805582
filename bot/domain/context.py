"""What was found about an incident, and what could not be found in time and why. Gathered by plugins/gatherers."""

from __future__ import annotations

from datetime import datetime

from pydantic import Base64Bytes, BaseModel, ConfigDict


class Finding(BaseModel):
    """One thing that was found. `lines` are plain text; `source` says where from (query, window) and `url` where to look further.

    `code` shows the lines as they are (a log); `picture` is a PNG. `missing` is set instead of lines when it was not gathered.
    """

    model_config = ConfigDict(frozen=True)

    gatherer: str
    title: str
    lines: tuple[str, ...] = ()
    code: bool = False
    source: str = ""
    url: str = ""
    picture: Base64Bytes | None = None
    missing: str = ""


class Context(BaseModel):
    """All findings for one opening (epoch) of an incident."""

    model_config = ConfigDict(frozen=True)

    incident_id: int
    epoch: int
    gathered_at: datetime
    findings: tuple[Finding, ...] = ()
    message_ts: str = ""
