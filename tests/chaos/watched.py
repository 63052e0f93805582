"""`python -m tests.chaos.watched CONFIG FIGURES CERTIFICATE`: the whole program in a process of its own, with somebody who watches it.

What tells of its health is written to FIGURES, as one JSON object, whenever it gets SIGUSR1. Amazon's certificates come from the file CERTIFICATE
instead of the network. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bot import app
from bot.cli.common import keep_what_is_loaded, run, set_up_logs
from bot.config import load

BEAT = 0.02
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Watch:
    """`late`: how long the loop was kept from a beat at most, in seconds; `computed`: the same in seconds of its own CPU, which other processes
    cannot make longer."""

    late: float = 0.0
    computed: float = 0.0

    async def beat(self) -> None:
        while True:
            due, used = time.monotonic() + BEAT, time.thread_time()
            await asyncio.sleep(BEAT)
            self.late = max(self.late, time.monotonic() - due)
            self.computed = max(self.computed, time.thread_time() - used)

    def write(self, to: Path) -> None:
        gc.collect()
        rss = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / (1 << 20)
        told = {"rss": round(rss, 1), "late": round(self.late, 3), "computed": round(self.computed, 3)}
        told |= {"objects": len(gc.get_objects()), "fds": len(os.listdir("/proc/self/fd"))}
        self.late = self.computed = 0.0  # looking is no part of what is looked at
        draft = to.with_suffix(".new")
        draft.write_text(json.dumps(told))
        draft.rename(to)


async def _watched(config: Path, figures: Path, certificate: Path) -> None:
    settings = load(config, app.registry())
    set_up_logs(settings.log.level, settings.log.format)
    stop, watch, loop = asyncio.Event(), Watch(), asyncio.get_running_loop()

    async def fetch(address: str) -> bytes:
        return certificate.read_bytes()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, watch.write, figures)
    async with app.built(settings, fetch=fetch) as tocsin, asyncio.TaskGroup() as tasks:
        keep_what_is_loaded()
        beating = tasks.create_task(watch.beat())
        await app.serve(tocsin, stop)
        beating.cancel()


if __name__ == "__main__":
    run(_watched(*map(Path, sys.argv[1:4])))
