"""What a database error means: a lost race (run the work again), not available now, or a bug. Used by every form of the store."""

from __future__ import annotations

import secrets

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError

from bot.errors import TryLater

# How often a work that lost a race is run before its caller gets `Conflict`.
ATTEMPTS = 10

_UNIQUE = "23505"
_RACES = {_UNIQUE, "40001", "40P01"}  # unique violation, serialization failure, deadlock
_UNIQUE_IN_SQLITE = {"SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}
_BROKEN_SQLITE = {"SQLITE_NOTADB", "SQLITE_CORRUPT"}  # until somebody puts the right file there
# Connection exceptions, insufficient resources, operator intervention (restart), lock timeout: see PostgreSQL's appendix A.
_UNAVAILABLE = ("08", "53", "57", "55P03", "25P03")


class Conflict(TryLater):
    """The work lost the same race each time it was run: most likely it writes what it read in another transaction."""


def is_race(error: BaseException) -> bool:
    """Whether running the whole work again may succeed: somebody else was first, or the database chose a victim."""
    if isinstance(error, Conflict):
        return True
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "sqlstate", None)
    return code in _RACES or getattr(error.orig, "sqlite_errorname", None) in _UNIQUE_IN_SQLITE


def conflict(error: BaseException) -> Conflict:
    reason = error.orig if isinstance(error, DBAPIError) else error
    return Conflict(f"database: the same conflict {ATTEMPTS} times in a row: {reason}")


def understood(error: Exception, *, uncertain: bool = False) -> Exception:
    """The error to raise for this one: TryLater when the database is not available now, else the error itself."""
    if isinstance(error, TryLater):
        return error
    reason = error.orig if isinstance(error, DBAPIError) else error
    code = str(getattr(reason, "sqlstate", None) or "")
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    away = isinstance(error, OperationalError | InterfaceError | TimeoutError | OSError | asyncpg.InterfaceError)
    broken = getattr(reason, "sqlite_errorname", None) in _BROKEN_SQLITE
    if lost or away or broken or code.startswith(_UNAVAILABLE):
        said = str(reason) or type(reason).__name__
        return TryLater(f"database: {said}", uncertain=uncertain)
    return error


def pause(attempt: int) -> float:
    """Seconds before attempt `attempt` + 1, with full jitter so that those who met do not meet again."""
    longest: float = min(0.1, 0.002 * 2**attempt)
    return longest * secrets.randbelow(1000) / 1000
