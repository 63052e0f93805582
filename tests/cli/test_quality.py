"""`tocsin quality`: what is counted per alert rule, for people and for programs."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from bot import app
from bot.cli.quality import ago
from bot.errors import BadInput
from bot.store import open_store
from tests.support.clock import HandClock
from tests.support.command_line import folder, tocsin
from tests.support.house import House


def filled(config: Path) -> None:
    """Three incidents of one rule, and something that steers terminals."""

    async def work() -> None:
        state = config.parents[1] / "state"
        state.mkdir()
        store = await open_store(f"sqlite:///{state / 'tocsin.db'}")
        house = House(store, clock=HandClock(app.now() - timedelta(hours=1)))
        for number in range(3):
            await house.receive(house.alert(fingerprint=f"f{number}", service=f"s{number}"))
        await house.receive(house.alert("Ev\x1b[31mil", fingerprint="e"))
        await house.settle()
        await store.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90m", timedelta(minutes=90)),
        ("24h", timedelta(hours=24)),
        (" 7d ", timedelta(days=7)),
        ("4w", timedelta(days=28)),
    ],
)
def test_a_span_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert ago(text) == span


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "401d", "99999w", "1y", "7d7d", "٣d"])
def test_another_span_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadInput, match="--since"):
        ago(text)


def test_without_a_database_it_says_so_and_makes_none(tmp_path: Path) -> None:
    ended = tocsin("quality", "--config", folder(tmp_path))
    assert ended.code == 2
    assert "there is no file" in ended.err
    assert not (tmp_path / "state").exists()


@pytest.mark.slow  # several commands, each of which builds the program
def test_rules_are_counted_and_the_noisy_ones_have_a_suggestion(tmp_path: Path) -> None:
    config = folder(tmp_path)
    filled(config)
    ended = tocsin("quality", "--config", config)
    assert ended.code == 0, ended.text
    assert "Broken (test)" in ended.out
    assert "paged for 3 incidents" in ended.out
    assert "\x1b" not in ended.out
    asked = tocsin("quality", "--since", "2h", "--json", "--config", config)
    found = {one["name"]: one for one in json.loads(asked.out)}
    assert found["Broken"]["fired"] == found["Broken"]["paged"] == 3
    assert found["Broken"]["to_page"] == 0.0
    assert "No alert has fired within 30m" in tocsin("quality", "--since", "30m", "--config", config).out
