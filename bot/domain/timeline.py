"""The timeline of an incident: append-only entries, each carrying the hash of the one before, so that tampering shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

GENESIS = "0" * 64
BOT = "Tocsin"


class Entry(BaseModel):
    """One thing that was seen, decided or done. `actor` is a name to show; `data` holds JSON values for the post-mortem."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    kind: str
    text: str
    actor: str = BOT
    data: dict[str, Any] = Field(default_factory=dict)
    seq: int = 0
    hash: str = ""


def digest(previous: str, entry: Entry) -> str:
    """SHA-256 in hex over the previous entry's hash and this entry's canonical JSON (sorted keys, UTC, no spaces)."""
    body = {
        "seq": entry.seq,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "kind": entry.kind,
        "actor": entry.actor,
        "text": entry.text,
        "data": entry.data,
    }
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()


def chain(seq: int, previous: str, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries numbered from `seq` + 1 and hashed, each over the one before it."""
    chained: list[Entry] = []
    for number, entry in enumerate(entries, start=seq + 1):
        numbered = entry.model_copy(update={"seq": number})
        previous = digest(previous, numbered)
        chained.append(numbered.model_copy(update={"hash": previous}))
    return tuple(chained)


def first_broken(entries: Iterable[Entry]) -> int | None:
    """The number of the first entry whose hash does not follow from the ones before it; None when the chain is whole."""
    previous = GENESIS
    for expected, entry in enumerate(entries, start=1):
        if entry.seq != expected or entry.hash != digest(previous, entry):
            return expected
        previous = entry.hash
    return None
