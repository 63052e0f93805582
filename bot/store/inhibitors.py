"""The SQL of inhibition: the keys under which alerts that fire hold others. Called by transaction.SqlTx.

`inhibitors` is written as text: of each key it reads the first three alerts by index, however many stand under it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, TextClause, delete, text

from bot.store.rows import to_json
from bot.store.statements import chunks, put
from bot.store.tables import inhibitors as standing_now
from bot.store.types import short_key, stored_key

MOST = 3  # of a key: enough to name who holds an alert, itself left out

_FIRST = {
    # The third one of a key is the last that is read; where there are fewer, all of them are.
    "sqlite": """
        select found.key, found.doc from json_each(:keys) as asked
        cross join inhibitors as found on found.key = asked.value and found.alert_key <= coalesce((
            select third.alert_key from inhibitors as third
            where third.key = asked.value order by third.alert_key limit 1 offset :most - 1
        ), '\U0010ffff')
    """,
    "postgresql": """
        select found.key, found.doc from json_array_elements_text(cast(:keys as json)) as asked(value)
        cross join lateral (
            select inhibitors.key, inhibitors.doc from inhibitors
            where inhibitors.key = asked.value order by inhibitors.alert_key limit :most
        ) as found
    """,
}


@cache
def _first(dialect: str) -> TextClause:
    return text(_FIRST[dialect])


def inhibitors(conn: Connection, keys: Collection[str]) -> dict[str, dict[str, str]]:
    asked: dict[str, list[str]] = {}
    for key in keys:
        asked.setdefault(short_key(key), []).append(key)
    found: dict[str, dict[str, str]] = {}
    for chunk in chunks(asked):
        for row in conn.execute(_first(conn.dialect.name), {"keys": to_json(chunk), "most": MOST}):
            alert_key, name = json.loads(row.doc)
            for key in asked[row.key]:
                found.setdefault(key, {})[alert_key] = name
    return found


def stand_under(conn: Connection, standing: Mapping[str, tuple[str, Collection[str]]]) -> None:
    for chunk in chunks({stored_key(alert_key) for alert_key in standing}):
        conn.execute(delete(standing_now).where(standing_now.c.alert_key.in_(chunk)))
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for alert_key, (name, keys) in standing.items():
        stored, doc = stored_key(alert_key), to_json([alert_key, name])
        for key in map(short_key, keys):
            rows[key, stored] = {"key": key, "alert_key": stored, "doc": doc}
    put(conn, standing_now, [rows[one] for one in sorted(rows)])
