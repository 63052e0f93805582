"""When the daily digest of what was held is posted, and where. Filled from `digest` in tocsin.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time


@dataclass(frozen=True, slots=True)
class DigestTimes:
    """Every day at this time of day in this zone (`Europe/Berlin`), in this channel (its name without #)."""

    at: time = time(9)
    zone: str = "UTC"
    channel: str = ""
