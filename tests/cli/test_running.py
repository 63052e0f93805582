"""How commands run: what no failing name server may hold up."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOOK_UP = """
import asyncio, os
from bot.cli.common import run
async def look_up():
    await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80)
    return len(os.listdir("/proc/self/task"))
print(run(look_up()))
"""


@pytest.mark.slow
def test_more_names_are_looked_up_at_once_than_one_dead_medium_asks_for() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK_UP], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 32, "uvloop's own number is four"
