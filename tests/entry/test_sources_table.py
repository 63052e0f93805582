"""docs/sources/README.md: its table has every source, and what it says of the senders is so."""

from __future__ import annotations

import re
from pathlib import Path

from bot.config import SenderFacts
from bot.config.auth import MODELS
from bot.plugins import discover

TABLE = (Path(__file__).parents[2] / "docs/sources/README.md").read_text()
ROW = re.compile(r"^\| `(?P<type>\w+)` \|.*\| (?P<ways>[^|]+) \| \[(?P=type)\]\((?P=type)\.md\) \|$", re.M)


def test_the_table_says_of_every_source_how_its_senders_can_be_known() -> None:
    told = {
        row["type"]: re.findall(rf"\b({'|'.join(MODELS)})\b", re.sub(r"\(.*?\)", "", row["ways"]))
        for row in ROW.finditer(TABLE)
    }
    told = {name: sorted(ways) for name, ways in told.items()}
    assert told == {name: sorted(SenderFacts.of(module).ways) for name, module in discover("sources").items()}
