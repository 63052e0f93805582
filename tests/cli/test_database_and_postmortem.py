"""`tocsin db upgrade` and `tocsin postmortem export`, with a database that `serve` filled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot import app
from bot.config import load
from bot.domain.people import Actor
from tests.support.command_line import SECRETS, changed, folder, tocsin

BOB = Actor(id="bob", name="Bob Kahn")


def filled(config: Path) -> None:
    """One incident that was opened, noted and resolved by hand."""

    (config.parents[1] / "state").mkdir()

    async def work() -> None:
        async with app.built(load(config, app.registry(), SECRETS)) as program:
            await program.incidents.declare("the shop is slow", "warning", BOB)
            await program.incidents.note(1, "the cache was cold", BOB)
            await program.incidents.resolve(1, BOB)

    asyncio.run(work())


def test_a_new_sqlite_database_is_brought_up_to_date_and_again_changes_nothing(tmp_path: Path) -> None:
    config = folder(tmp_path)
    first = tocsin("db", "upgrade", "--config", config)
    assert first.code == 0, first.text
    assert "the database is at " in first.out
    assert (tmp_path / "state" / "tocsin.db").exists()
    assert tocsin("db", "upgrade", "--config", config) == first


def test_a_database_that_is_none_or_cannot_be_reached_is_said(tmp_path: Path) -> None:
    config = folder(tmp_path)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "tocsin.db").write_bytes(b"this is not a database, whatever its name says" * 100)
    for words in (("db", "upgrade"), ("postmortem", "export", "INC-1"), ("doctor",), ("serve",)):
        ended = tocsin(*words, "--config", config)
        assert ended.code in (1, 2), words
        assert "Traceback" not in ended.text, words
    changed(config / "tocsin.yaml", "url: sqlite:///tocsin.db", "url: env:TOCSIN_DATABASE_URL")
    nowhere = {**SECRETS, "TOCSIN_DATABASE_URL": "postgresql://tocsin:s3cr3tPW@127.0.0.1:9/tocsin"}
    for words in (("db", "upgrade"), ("postmortem", "export", "INC-1"), ("serve",)):
        ended = tocsin(*words, "--config", config, env=nowhere)
        assert ended.code in (1, 2), words
        assert "Traceback" not in ended.text, words
        assert "s3cr3tPW" not in ended.text, words


def test_a_post_mortem_is_written_where_it_is_wanted_and_always_the_same(tmp_path: Path) -> None:
    config = folder(tmp_path)
    filled(config)
    ended = tocsin("postmortem", "export", "INC-1", "--config", config)
    assert ended.code == 0, ended.text
    path = Path(ended.out.strip())
    text = path.read_text(encoding="utf-8")
    assert "the cache was cold" in text
    for written in ("inc-1", "1"):
        assert tocsin("postmortem", "export", written, "--out", "-", "--config", config).out == text
    assert path.read_text(encoding="utf-8") == text
    out = tmp_path / "copy.md"
    assert tocsin("postmortem", "export", "INC-1", "--out", out, "--config", config).out.strip() == str(out)
    assert out.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("name", "said"), [("INC-2", "There is no INC-2"), ("INC", "does not name an incident"), ("-", "does not name")]
)
def test_a_wrong_incident_is_said(tmp_path: Path, name: str, said: str) -> None:
    config = folder(tmp_path)
    filled(config)
    ended = tocsin("postmortem", "export", "--config", config, "--", name)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.text


def test_without_a_database_no_empty_one_is_made(tmp_path: Path) -> None:
    ended = tocsin("postmortem", "export", "INC-1", "--config", folder(tmp_path))
    assert ended.code == 2
    assert "there is no file" in ended.err
    assert not (tmp_path / "state" / "tocsin.db").exists()


def test_a_place_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    config = folder(tmp_path)
    filled(config)
    ended = tocsin("postmortem", "export", "INC-1", "--out", tmp_path / "no" / "such" / "place.md", "--config", config)
    assert ended.code in (1, 2)
    assert "Traceback" not in ended.text
    assert "place.md" in ended.err
