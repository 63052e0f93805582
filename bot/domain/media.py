"""How a medium that is set up is used: what it is, how often at most, what is bundled, in whose words. From tocsin.yaml; used by paging."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class MediumRules:
    """`kind`: one of severity.MEDIA. `per_minute`: at most so many messages (0: any number); a person's first page is never held back by it.

    `bundle`: a further page to the same address within that time after one that was sent waits for its end and goes out together with others ("3 more
    incidents"), unless it is more severe; 0: nothing is bundled. `template`: a Jinja2 text for pages by it (empty: Tocsin's own words).
    """

    kind: str
    per_minute: int = 0
    bundle: timedelta = timedelta(0)
    template: str = ""


SLACK_RULES = MediumRules("slack")
