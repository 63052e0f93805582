"""What commands about runs say and ask on a terminal. Texts from alerts, clusters and scripts must not be able to steer it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import typer

INTERRUPT = "\x03"  # Ctrl-C, as the line that `Terminal.line` gives for it
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_LINE = 4096


def plain(text: str) -> str:
    """The text on one line, with everything that moves the cursor, reverses or hides text shown as a mark."""
    spaced = " ".join(text.split("\t"))
    return "".join("\ufffd" if unicodedata.category(one) in _HIDDEN else one for one in spaced)


def plain_lines(text: str) -> list[str]:
    """As `plain`, but line breaks stay line breaks."""
    return [plain(line) for line in text.replace("\r\n", "\n").split("\n")]


class Screen(Protocol):
    """Where a run is followed. `interactive`: somebody is there who can answer."""

    interactive: bool

    def say(self, line: str = "") -> None: ...
    def forget(self) -> None:
        """Throw away what was typed before a question was shown."""

    async def line(self, seconds: float) -> str | None:
        """The next line that is typed, or INTERRUPT; None when there is none within that time."""


class Terminal:
    """Standard input and output of this process. Lines are read without a thread, so that the program can end while it waits for one."""

    def __init__(self) -> None:
        self.interactive = sys.stdin.isatty() and sys.stdout.isatty()
        self._lines: asyncio.Queue[str] = asyncio.Queue()

    def say(self, line: str = "") -> None:
        typer.echo(line)

    def forget(self) -> None:
        while not self._lines.empty():
            self._lines.get_nowait()
        if self.interactive:
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)

    async def line(self, seconds: float) -> str | None:
        try:
            async with asyncio.timeout(seconds):
                return await self._lines.get()
        except TimeoutError:
            return None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take lines and Ctrl-C while this lasts; needs a running loop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._lines.put_nowait, INTERRUPT)
        if self.interactive:
            loop.add_reader(sys.stdin.fileno(), self._typed)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            if self.interactive:
                loop.remove_reader(sys.stdin.fileno())

    def _typed(self) -> None:
        """A terminal gives whole lines. At the end of the input nobody is there any more."""
        typed = os.read(sys.stdin.fileno(), _LINE)
        if not typed:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.interactive = False
        for line in typed.decode("utf-8", "replace").splitlines():
            self._lines.put_nowait(line)
