"""The SQL of pages: what was sent to whom, and what the outbox still has. Called by transaction.SqlTx; `lock` holds the rows until the commit."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select

from bot.domain.page import Page
from bot.store.statements import chunks, put
from bot.store.tables import LIVE_PAGE, UNDELIVERED, outbox, pages
from bot.store.types import stored_key

OLDEST_FIRST = (pages.c.begun_at, pages.c.key)
NEWEST_FIRST = (pages.c.begun_at.desc(), pages.c.key.desc())


def _pages(conn: Connection, query: Select[tuple[str]]) -> tuple[Page, ...]:
    return tuple(map(Page.model_validate_json, conn.execute(query).scalars()))


def pages_by_key(conn: Connection, keys: Collection[str], lock: bool) -> dict[str, Page]:
    asked = {stored_key(key): key for key in keys}
    found = {}
    for chunk in chunks(asked):
        query = select(pages.c.key, pages.c.doc).where(pages.c.key.in_(chunk)).order_by(pages.c.key)
        for row in conn.execute(query.with_for_update(key_share=True) if lock else query):
            found[asked[row.key]] = Page.model_validate_json(row.doc)
    return found


def pages_of(conn: Connection, incident_id: int, limit: int) -> tuple[Page, ...]:
    query = select(pages.c.doc).where(pages.c.incident_id == incident_id).order_by(*NEWEST_FIRST)
    return _pages(conn, query.limit(limit))[::-1]


def pages_to(
    conn: Connection, medium: str, address: str, since: datetime, limit: int, *, going: bool = False
) -> tuple[Page, ...]:
    there = select(pages.c.doc).where(pages.c.medium == medium, pages.c.address == address)
    there = there.where(LIVE_PAGE) if going else there
    return _pages(conn, there.where(pages.c.begun_at >= since).order_by(*NEWEST_FIRST).limit(limit))


def pages_by(conn: Connection, medium: str, since: datetime) -> int:
    query = select(func.count()).select_from(pages).where(pages.c.medium == medium, pages.c.begun_at >= since)
    return conn.execute(query.where(LIVE_PAGE)).scalar_one()


def page_named(conn: Connection, medium: str, provider_id: str) -> Page | None:
    if not provider_id:
        return None
    named = select(pages.c.doc).where(pages.c.medium == medium, pages.c.provider_id == provider_id)
    return next(iter(_pages(conn, named.order_by(*NEWEST_FIRST).limit(1))), None)


def pages_between(conn: Connection, since: datetime, until: datetime, limit: int) -> tuple[Page, ...]:
    begun = select(pages.c.doc).where(pages.c.begun_at >= since, pages.c.begun_at < until)
    return _pages(conn, begun.order_by(*OLDEST_FIRST).limit(limit))


def save_pages(conn: Connection, saved: Collection[Page]) -> None:
    rows = {stored_key(page.key): _values(page) for page in saved}
    put(conn, pages, [rows[key] for key in sorted(rows)])


def _values(page: Page) -> dict[str, Any]:
    return {
        "key": page.key,
        "incident_id": page.incident_id,
        "epoch": page.epoch,
        "purpose": page.purpose,
        "medium": page.medium,
        "address": page.address,
        "state": page.state.value,
        "begun_at": page.begun_at,
        "provider_id": page.provider_id or None,
        "doc": page.model_dump_json(),
    }


def undelivered(conn: Connection, keys: Collection[str]) -> set[str]:
    asked = {stored_key(key): key for key in keys}
    found: set[str] = set()
    for chunk in chunks(asked):
        query = select(outbox.c.key).where(outbox.c.key.in_(chunk), UNDELIVERED)
        found.update(asked[key] for key in conn.execute(query).scalars())
    return found
