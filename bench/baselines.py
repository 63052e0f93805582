"""What Tocsin is compared with: a bare web server as a process (`baselines.py PORT`), and grouped inserts without any server. Used by run.py."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from aiohttp import web

from bench.client import Alerts
from bot.domain.alert import AlertState, Received
from bot.domain.incoming import Incoming
from bot.plugins.sources import alertmanager
from bot.store import upgrade
from bot.store.rows import alert_doc, alert_state_values, received_values
from bot.store.tables import alert_log, alerts

GROUP = 1000  # alerts in one transaction


async def parse_and_answer(request: web.Request) -> web.Response:
    """Parses the JSON and answers 200: what the web server alone costs."""
    body = json.loads(await request.read())
    return web.json_response({"accepted": len(body["alerts"]), "bad": []})


def serve(port: int) -> None:
    import uvloop  # noqa: PLC0415  run.py imports this module on any loop

    app = web.Application(client_max_size=16 << 20)
    app.add_routes([web.post("/webhooks/alertmanager", parse_and_answer)])
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=port, access_log=None, print=lambda *_: None)


def raw_inserts(folder: Path, seconds: float) -> float:
    """Alerts a second: the same two rows per new alert as Tocsin writes, made before, GROUP in a transaction, synchronous=FULL."""
    url = f"sqlite:///{folder / 'raw.db'}"
    asyncio.run(upgrade(url))
    engine = sa.create_engine(url)
    made = Alerts(GROUP, 0.0)
    now = datetime.now(UTC)
    written, spent = 0, 0.0
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA synchronous=FULL")
        while spent < seconds:
            parsed = alertmanager.parse(Incoming(made.body()), "alertmanager", alertmanager.Params(), now).alerts
            docs = [alert_doc(alert) for alert in parsed]
            states = [
                alert_state_values(AlertState(one, now, now, 1, 1), doc) for one, doc in zip(parsed, docs, strict=True)
            ]
            lines = [
                received_values(Received(now, one, "joined", "raw", (), 1), doc)
                for one, doc in zip(parsed, docs, strict=True)
            ]
            started = time.perf_counter()
            connection.execute(sa.insert(alerts), states)
            connection.execute(sa.insert(alert_log), lines)
            connection.commit()
            spent += time.perf_counter() - started
            written += GROUP
    engine.dispose()
    return written / spent


if __name__ == "__main__":
    serve(int(sys.argv[1]))
