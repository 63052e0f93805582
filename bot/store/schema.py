"""Which version of the tables a database has, and bringing it to the newest. Called by `open_store` and by `tocsin db upgrade`."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from bot.errors import BadInput
from bot.store import locks


def _config(conn: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = conn
    return config


def head() -> str:
    """The version that this program works with."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def current(conn: Connection) -> str | None:
    """The version of this database; None when it has no tables yet."""
    return MigrationContext.configure(conn).get_current_revision()


def upgrade(conn: Connection) -> str:
    """Bring the tables to the newest version, in the transaction of `conn`: whole or not at all, one at a time. The version."""
    locks.hold(conn, "migrations")
    found = current(conn)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise BadInput(
            f"database: its tables have version {found}, which this Tocsin does not know: a newer one made them. Use that one."
        )
    if found != head():
        command.upgrade(_config(conn), "head")
    return head()


def must_be_current(conn: Connection) -> None:
    found = current(conn)
    if found != head():
        state = f"has version {found}" if found else "has no tables of Tocsin yet"
        raise BadInput(
            f"database: it {state}, and this Tocsin needs {head()}. Run `tocsin db upgrade` once, then start again."
        )
