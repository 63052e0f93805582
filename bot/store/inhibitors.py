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

# From one alert of a key to the next, each found by the primary key.
_FIRST = """
    with recursive asked(key) as ({asked}),
    standing(key, number, alert_key) as (
        select asked.key, 1, (select min(first.alert_key) from inhibitors as first where first.key = asked.key)
        from asked
        union all
        select standing.key, standing.number + 1, (
            select min(next.alert_key) from inhibitors as next
            where next.key = standing.key and next.alert_key > standing.alert_key
        )
        from standing where standing.number < {most} and standing.alert_key is not null
    )
    select found.key, found.doc from standing
    join inhibitors as found on found.key = standing.key and found.alert_key = standing.alert_key
"""
_ASKED = {
    "sqlite": "select value from json_each(:keys)",
    "postgresql": "select value from json_array_elements_text(cast(:keys as json)) as asked_for(value)",
}


@cache
def _first(dialect: str) -> TextClause:
    return text(_FIRST.format(asked=_ASKED[dialect], most=MOST))


def inhibitors(conn: Connection, keys: Collection[str]) -> dict[str, dict[str, str]]:
    asked: dict[str, list[str]] = {}
    for key in keys:
        asked.setdefault(short_key(key), []).append(key)
    found: dict[str, dict[str, str]] = {}
    for chunk in chunks(asked):
        for row in conn.execute(_first(conn.dialect.name), {"keys": to_json(chunk)}):
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
