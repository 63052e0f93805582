"""The section `databases` of tocsin.yaml: what runbooks may ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config.server import AskedDatabase
from tests.config.folder import ENVIRON, TOCSIN, loaded, problems

URL = "postgresql://reader:hunter2@db.example/orders"


def asked(folder: Path, databases: str) -> dict[str, AskedDatabase]:
    config = loaded(folder, {"tocsin.yaml": f"{TOCSIN}databases:\n{databases}"}, environ={**ENVIRON, "ORDERS": URL})
    return dict(config.databases)


def test_none_is_the_default(tmp_path: Path) -> None:
    assert loaded(tmp_path).databases == {}


def test_an_address_with_a_password_is_given_by_reference_and_never_shown(tmp_path: Path) -> None:
    found = asked(tmp_path, "  orders: {url: env:ORDERS}\n")
    assert found["orders"].url.reveal() == URL
    assert "hunter2" not in repr(found)


def test_a_sqlite_file_begins_at_the_state_folder(tmp_path: Path) -> None:
    found = asked(tmp_path, "  here: {url: 'sqlite:///shop.db'}\n  there: {url: 'sqlite:////srv/shop.db'}\n")
    assert found["here"].url.reveal() == f"sqlite:///{tmp_path}/conf/state/shop.db"
    assert found["there"].url.reveal() == "sqlite:////srv/shop.db"
    assert type(found["here"]) is AskedDatabase


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{url: 'postgresql://reader:hunter2@db/orders'}", "databases.orders.url: has a password in it"),
        ("{url: 'mysql://db/orders'}", "wanted an address that begins with sqlite:// or postgresql://"),
        ("{url: env:NOPE}", "databases.orders.url: the environment variable NOPE is not set"),
        ("{}", "databases.orders"),
        ("{url: 'sqlite:///x', usr: ada}", 'unknown key "usr"; did you mean "url"?'),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, entry: str, words: str) -> None:
    told = problems(tmp_path, {"tocsin.yaml": f"{TOCSIN}databases:\n  orders: {entry}\n"})
    assert len(told) == 1
    assert words in told[0]
    assert "hunter2" not in told[0]
