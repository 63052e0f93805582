"""Files that people read: post-mortems. Implements the port `Documents` for flow."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
from pathlib import Path

from bot.errors import BadInput, TryLater

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


class FolderDocuments:
    """A folder, made when the first document is written. A document is there whole or not at all, also after a power cut."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    async def write(self, name: str, text: str) -> str:
        """Write `name` (no folders in it), replacing what was there; its path."""
        if not _NAME.fullmatch(name):
            raise BadInput(f"{name!r} cannot be the name of a document: letters, digits, `.`, `_` and `-` only")
        try:
            return await asyncio.to_thread(self._write, name, text)
        except OSError as error:
            raise TryLater(f"cannot write {self._folder / name}: {error.strerror or error}") from error

    def _write(self, name: str, text: str) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / name
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=f".{name[:50]}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        self._sync_folder()
        return str(path)

    def _sync_folder(self) -> None:
        """So that the new name survives a power cut as well. Not every file system can."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)
