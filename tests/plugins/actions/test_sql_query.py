"""sql.query: what it answers, and that nothing is written, waited for or read without bound. Over SQLite and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import ValidationError

from bot.clients.databases import LONGEST_CELL, Database
from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.clients.postgres_database import Postgres
from bot.clients.sqlite_database import Sqlite
from bot.domain.redaction import Redactor
from bot.errors import BadInput, TryLater
from bot.plugins.actions.sql_query import Params, Plugin
from tests.support.stores import new_postgres

TABLES = "create table orders (id integer primary key, state text, total numeric(10, 2), note text)"
ROWS = "insert into orders values (1, 'paid', 10.50, 'n'), (2, 'stuck', 3, null), (3, 'stuck', 4, 'token=ghp_0123456789abcdefghijABCDEFGHIJ012345')"


@dataclass(frozen=True)
class Asked:
    """A database with three orders, and the plugin that may ask it."""

    kind: str
    url: str
    plugin: Plugin

    async def look(self, query: str, **params: Any) -> dict[str, Any]:
        return await self.plugin.look(use(query, **params))

    async def count(self) -> int:
        if self.kind == "sqlite":
            with closing(sqlite3.connect(self.url)) as connection:
                return int(connection.execute("select count(*) from orders").fetchone()[0])
        connection = await asyncpg.connect(self.url)
        try:
            return int(await connection.fetchval("select count(*) from orders"))
        finally:
            await connection.close()


def use(query: str, **params: Any) -> Params:
    return Params.model_validate({"database": "orders", "query": query, **params})


def plugin(database: Database) -> Plugin:
    return Plugin(Kit(None, None, Http(str), Redactor(), databases={"orders": database}))


@pytest.fixture(params=["sqlite", "postgres"])
async def orders(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Asked]:
    if request.param == "sqlite":
        path = str(tmp_path / "orders ?#%.db")
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(f"{TABLES}; {ROWS};")
        yield Asked("sqlite", path, plugin(Sqlite(path)))
    else:
        url = await new_postgres()
        connection = await asyncpg.connect(url)
        await connection.execute(TABLES)
        await connection.execute(ROWS)
        await connection.close()
        yield Asked("postgres", url, plugin(Postgres(url)))


@pytest.fixture
async def postgres() -> Asked:
    url = await new_postgres()
    connection = await asyncpg.connect(url)
    await connection.execute(TABLES)
    await connection.execute(ROWS)
    await connection.close()
    return Asked("postgres", url, plugin(Postgres(url)))


@pytest.fixture
def sqlite(tmp_path: Path) -> Asked:
    path = str(tmp_path / "orders.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"{TABLES}; {ROWS};")
    return Asked("sqlite", path, plugin(Sqlite(path)))


def bind(orders: Asked, number: int = 1) -> str:
    return "?" if orders.kind == "sqlite" else f"${number}"


# ------------------------------------------------------------------------------------------------ answers


async def test_an_answer_has_columns_rows_and_the_first_value(orders: Asked) -> None:
    state = await orders.look("select state, count(*) as n, sum(total) as total from orders group by state order by n;")
    assert state == {
        "columns": ["state", "n", "total"],
        "rows": [["paid", 1, 10.5], ["stuck", 2, 7]],
        "more": False,
        "value": "paid",
    }


async def test_values_are_bound_and_never_become_sql(orders: Asked) -> None:
    query = f"select count(*) from orders where state = {bind(orders)}"
    assert (await orders.look(query, args=["stuck"]))["value"] == 2
    assert (await orders.look(query, args=["x' or '1'='1"]))["value"] == 0
    assert (await orders.look(query, args=["'; drop table orders; --"]))["value"] == 0
    assert await orders.count() == 3


async def test_a_value_that_came_out_of_a_template_fits_a_number(orders: Asked) -> None:
    assert (await orders.look(f"select state from orders where id = {bind(orders)}", args=["2"]))["value"] == "stuck"


async def test_a_wrong_number_of_values_is_the_runbooks_mistake(orders: Asked) -> None:
    with pytest.raises(BadInput, match="database orders: "):
        await orders.look(f"select 1 from orders where id = {bind(orders)}")
    with pytest.raises(BadInput, match="database orders: "):
        await orders.look("select 1 from orders", args=[1])


async def test_secrets_and_long_values_do_not_get_out(orders: Asked) -> None:
    [[note]] = (await orders.look("select note from orders where id = 3"))["rows"]
    assert "ghp_" not in note and note.startswith("token=")
    wide = "replace(printf('%.*c', 5000, 'x'), ' ', 'x')" if orders.kind == "sqlite" else "repeat('x', 5000)"
    value = (await orders.look(f"select {wide}"))["value"]
    assert len(value) == LONGEST_CELL and value.endswith("…")


async def test_rows_are_bounded_and_it_says_that_there_were_more(orders: Asked) -> None:
    series = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) select i from n"
    state = await orders.look(series, most_rows=5)
    assert [row[0] for row in state["rows"]] == [1, 2, 3, 4, 5]
    assert state["more"]
    assert not (await orders.look("select id from orders", most_rows=3))["more"]


async def test_a_query_may_end_in_a_comment_and_columns_may_have_one_name(orders: Asked) -> None:
    state = await orders.look("select id, id, null from orders order by id -- the first three")
    assert state["rows"] == [[1, 1, None], [2, 2, None], [3, 3, None]]


async def test_too_many_columns_are_refused(orders: Asked) -> None:
    with pytest.raises(BadInput, match="gives 51 columns; at most 50"):
        await orders.look(f"select {', '.join(['1'] * 51)}")


# ------------------------------------------------------------------------------------------------ nothing is written

WRITES = [
    "delete from orders",
    "insert into orders (id) values (9)",
    "update orders set state = 'paid' returning id",
    "drop table orders",
    "create table other (id int)",
    "select 1; delete from orders",
    "select 1); delete from orders; select (1",
    "with gone as (delete from orders returning id) select * from gone",
    "begin",
    "commit",
    "rollback",
    "vacuum",
]


@pytest.mark.parametrize("query", WRITES)
async def test_what_is_not_one_reading_query_is_refused(orders: Asked, query: str) -> None:
    with pytest.raises(BadInput, match=r"^database orders: "):
        await orders.look(query)
    assert await orders.count() == 3


@pytest.mark.parametrize(
    "query",
    [
        "attach database '/tmp/other.db' as other",
        "pragma journal_mode = delete",
        "pragma query_only = off",
        "select load_extension('x')",
        "select * from pragma_database_list",
        "select writefile('/tmp/x', 'y')",
        "select fts3_tokenizer('simple')",
    ],
)
async def test_sqlite_does_nothing_but_read(sqlite: Asked, query: str) -> None:
    with pytest.raises(BadInput, match=r"^database orders: "):
        await sqlite.look(query)


async def test_a_missing_sqlite_file_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with pytest.raises(BadInput, match="the database's file cannot be opened"):
        await plugin(Sqlite(str(path))).look(use("select 1"))
    assert not path.exists()


async def test_postgres_refuses_functions_that_write(postgres: Asked) -> None:
    connection = await asyncpg.connect(postgres.url)
    await connection.execute(
        "create function purge() returns int language plpgsql security definer as $$ begin delete from orders; return 1; end $$"
    )
    await connection.execute(
        "create function loosen() returns int language plpgsql as $$ begin "
        "perform set_config('transaction_read_only', 'off', true); delete from orders; return 1; end $$"
    )
    await connection.execute("create sequence ticket")
    await connection.close()
    with pytest.raises(
        BadInput, match="does something else than read: cannot execute DELETE in a read-only transaction"
    ):
        await postgres.look("select purge()")
    with pytest.raises(BadInput, match=r"read-only transaction|read-write mode"):
        await postgres.look("select loosen()")
    with pytest.raises(BadInput, match=r"cannot execute nextval\(\) in a read-only transaction"):
        await postgres.look("select nextval('ticket')")
    with pytest.raises(BadInput, match=r"read-only transaction|read-write mode"):
        await postgres.look("select set_config('transaction_read_only', 'off', false), purge()")
    assert await postgres.count() == 3


@pytest.mark.parametrize(
    "query",
    [
        "copy orders to program 'touch /tmp/x'",
        "set role postgres",
        "show all",
        "lock orders",
        "select id from orders for update",
    ],
)
async def test_postgres_takes_only_what_gives_rows_of_a_query(postgres: Asked, query: str) -> None:
    with pytest.raises(BadInput, match=r"^database orders: "):
        await postgres.look(query)


# ------------------------------------------------------------------------------------------------ bounds

ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"


async def test_a_query_that_does_not_end_is_cancelled(orders: Asked) -> None:
    begun = time.monotonic()
    with pytest.raises(TryLater, match=r"database orders: the query took longer than 0\.3 s") as late:
        await orders.look(ENDLESS, seconds=0.3)
    assert time.monotonic() - begun < 5
    assert not late.value.uncertain


async def test_a_sleeping_query_is_cancelled_and_leaves_no_connection(postgres: Asked) -> None:
    with pytest.raises(TryLater, match=r"took longer than 0\.2 s"):
        await postgres.look("select pg_sleep(100)", seconds=0.2)
    connection = await asyncpg.connect(postgres.url)
    try:
        busy = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        async with asyncio.timeout(10):
            while await connection.fetchval(busy):
                await asyncio.sleep(0.02)
    finally:
        await connection.close()


async def test_a_locked_table_is_not_waited_for(postgres: Asked) -> None:
    holder = await asyncpg.connect(postgres.url)
    try:
        await holder.execute("begin; lock table orders in access exclusive mode")
        with pytest.raises(TryLater, match="database orders: "):
            await postgres.look("select count(*) from orders", seconds=0.2)
    finally:
        await holder.close()


async def test_huge_values_stay_where_they_are(postgres: Asked) -> None:
    state = await postgres.look(
        "select repeat('x', 100000000), '1'::bytea, now(), 'NaN'::float8, 12345678901234567890::numeric, true, '{1}'::int[]"
    )
    [[text, raw, at, nan, number, yes, array]] = state["rows"]
    assert (len(text), raw, nan, number, yes, array) == (
        LONGEST_CELL,
        "\\x31",
        "nan",
        12345678901234567890.0,
        True,
        "{1}",
    )
    assert at.startswith("20")


async def test_a_huge_value_of_sqlite_is_refused_or_clipped(sqlite: Asked) -> None:
    with pytest.raises(BadInput, match="too big"):
        await sqlite.look("select length(zeroblob(100000000))")
    assert (await sqlite.look("select zeroblob(1000000)"))["value"] == "(bytes)"


async def test_a_database_that_is_not_there_may_come_back() -> None:
    with pytest.raises(TryLater, match="the database cannot be reached") as away:
        await plugin(Postgres("postgresql://reader:hunter2@127.0.0.1:1/orders")).look(use("select 1"))
    assert "hunter2" not in str(away.value)


async def test_a_login_that_is_refused_stays_refused_without_the_address(postgres: Asked) -> None:
    url = postgres.url.replace("/tocsin_", "/no_such_") if "/tocsin_" in postgres.url else postgres.url
    with pytest.raises(
        BadInput, match="the database lets nobody in with this address: InvalidCatalogNameError"
    ) as refused:
        await plugin(Postgres(url)).look(use("select 1"))
    assert url not in str(refused.value)


async def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "orders.db"
    path.write_bytes(os.urandom(5_000))
    with pytest.raises(BadInput, match="not a database"):
        await plugin(Sqlite(str(path))).look(use("select 1 from orders"))


# ------------------------------------------------------------------------------------------------ what it wants, and tests of runbooks

OFFLINE = Plugin(Kit(None, None, Http(str), str))
EXPECTED: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "nothing wanted": ({}, {"empty": True}, None),
    "met": ({"expect": "< 10"}, {"value": 3}, None),
    "met by text": ({"expect": "< 10"}, {"value": "3.5"}, None),
    "not met": ({"expect": "< 10"}, {"value": 12}, "12 is not < 10"),
    "no row": ({"expect": "< 10"}, {"empty": True}, "the query gives no row, so nothing that is < 10"),
    "no number": ({"expect": "< 10"}, {"value": "many"}, "'many' is not a number, so it is not < 10"),
    "null": ({"expect": "< 10"}, {"value": None}, "None is not a number, so it is not < 10"),
    "rows": ({"rows": "== 0"}, {"empty": True}, None),
    "rows not met": ({"rows": "== 0"}, {"columns": ["a"], "rows": [[1], [2]]}, "the number of rows is 2, not == 0"),
    "default meets": ({"expect": "> 5", "rows": ">= 2"}, {}, None),
    "default meets none": ({"rows": "< 1"}, {}, None),
}  # fmt: skip


@pytest.mark.parametrize(("params", "given", "words"), EXPECTED.values(), ids=EXPECTED)
def test_the_answer_must_be_as_expected(params: dict[str, Any], given: dict[str, Any], words: str | None) -> None:
    wanted = use("select 1", **params)
    state = OFFLINE.facts(given, wanted)
    plan = OFFLINE.plan(state, wanted)
    assert OFFLINE.verify(state, wanted) == words
    assert not plan
    assert OFFLINE.after(state, plan, wanted) == state
    assert OFFLINE.undo(plan, {}, wanted) is None


def test_more_rows_than_are_read_still_count() -> None:
    wanted = use("select 1", rows="<= 2", most_rows=2)
    state = {"columns": ["a"], "rows": [[1], [2]], "more": True, "value": 1}
    assert OFFLINE.verify(state, wanted) == "the number of rows is more than 2, not <= 2"


async def test_facts_have_the_shape_of_a_real_answer(orders: Asked) -> None:
    wanted = use("select id as value from orders where id = 2")
    assert OFFLINE.facts({"value": 2}, wanted) == await orders.plugin.look(wanted)


def test_facts_that_do_not_fit_are_said() -> None:
    with pytest.raises(BadInput, match="there is no 'row'"):
        OFFLINE.facts({"row": 1}, use("select 1"))
    with pytest.raises(BadInput, match="each of the rows must have 2 values"):
        OFFLINE.facts({"columns": ["a", "b"], "rows": [[1]]}, use("select 1"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"query": "select '{{ alert.name }}'"}, "must not have a template in it"),
        ({"rows": "== 60"}, "cannot be told with most_rows: 50"),
        ({"rows": "none"}, "must be a comparison"),
        ({"seconds": 31}, "less than or equal to 30"),
        ({"most_rows": 201}, "less than or equal to 200"),
        ({"args": [{"a": 1}]}, "args"),
        ({"query": ""}, "at least 1"),
    ],
)
def test_bad_parameters_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Params.model_validate({"database": "orders", "query": "select 1", **given})


async def test_a_database_that_is_not_configured_is_said_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"no database is configured: add `databases:` to tocsin\.yaml"):
        await OFFLINE.look(use("select 1"))
    with pytest.raises(BadInput, match=r"no database is called 'order' in tocsin\.yaml; did you mean \"orders\""):
        await plugin(Sqlite("/none")).look(Params(database="order", query="select 1"))


def test_policy_judges_the_database() -> None:
    target = OFFLINE.target(use("select 1"))
    assert (target.action, target.name) == ("sql.query", "orders")
    assert (OFFLINE.writes, OFFLINE.risk) == (False, "none")
