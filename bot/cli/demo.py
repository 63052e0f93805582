"""`tocsin demo` and `tocsin practice`: the whole program beside a practice Slack workspace and a practice cluster. No account, no network."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from bot import app
from bot.cli import demo_folder
from bot.cli.common import run, set_up_logs
from bot.config import load
from bot.errors import BadInput
from bot.practice.person import Person, Press
from bot.practice.server import Practice
from bot.practice.story import GOOD_IMAGE, NAMESPACE, demo_world

AUTO_LIMIT = 60.0
CONFIG = Path("deploy/config")
STATE = Path(".tocsin-demo")
TOKEN = "practice-alertmanager-token"  # noqa: S105  (it opens nothing but the demo)


def demo(
    auto: Annotated[bool, typer.Option("--auto", help="a simulated person clicks; ends by itself")] = False,
    port: Annotated[int, typer.Option(help="where the page is; 0 for any free port")] = 4000,
    state: Annotated[
        Path, typer.Option(help="where the demo keeps its database and post-mortems; emptied at the start")
    ] = STATE,
    config: Annotated[Path, typer.Option("--config", "-c", help="the folder with tocsin.yaml")] = CONFIG,
) -> None:
    """A broken deployment from the alert to the post-mortem, in a practice Slack and a practice cluster."""
    set_up_logs("warning", "console")
    _emptied(state)
    sys.exit(run(_demo(auto, port, state, config)))


def _emptied(state: Path) -> None:
    """A folder for the demo. What is not an earlier demo's is not deleted."""
    if state.exists() and state.resolve() != STATE.resolve() and not demo_folder.is_one(state):
        raise BadInput(
            f"--state {state}: is there, is not an earlier demo's and would be emptied; name a folder that is not there yet"
        )
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)


def practice(
    port: Annotated[int, typer.Option(help="0 for any free port")] = 4000,
    webhook: Annotated[str, typer.Option(help="where the practice Alertmanager posts")] = "",
    token: Annotated[str, typer.Option(help="the bearer token it posts with")] = TOKEN,
    quiet_world: Annotated[bool, typer.Option("--quiet-world", help="begin with nothing broken")] = False,
) -> None:
    """Serve only the practice workspace and cluster, for a `tocsin serve` of your own."""
    set_up_logs("warning", "console")

    async def work() -> None:
        world = Practice(time.time, port=port)
        demo_world(world.cluster)
        if quiet_world:
            world.cluster.set_image(NAMESPACE, "checkout", GOOD_IMAGE)
        await world.start()
        if webhook:
            world.send_alerts_to(webhook, token)
        typer.echo(f"page         {world.url}/")
        typer.echo(f"slack api    {world.api_url}")
        typer.echo(f"kubernetes   {world.url}/cluster")
        typer.echo(f"prometheus   {world.url}/prometheus")
        for name, value in secrets(world, token).items():
            typer.echo(f"export {name}={value}")
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await stop.wait()
        await world.stop()

    run(work())


def overrides(world: Practice, state: Path, listen: str, *, auto: bool) -> dict[str, Any]:
    """What of the example configuration is different in the demo: addresses, and waits short enough to watch."""
    return {
        "state": str(state.resolve()),
        "server.listen": listen,
        "server.public_url": world.url,
        "slack.api_url": world.api_url,
        "slack.pace": 20,
        "kubernetes.url": f"{world.url}/cluster",
        "prometheus.url": f"{world.url}/prometheus",
        "log.level": "warning",
        "log.format": "console",
        "oncall.rotations.shop.people": ["ada"],
        "oncall.policies.shop.levels[0].timeout": "4s" if auto else "30s",
        "oncall.policies.shop.levels[1].timeout": "30s" if auto else "60s",
    }


def secrets(world: Practice, token: str = TOKEN) -> dict[str, str]:
    """The environment variables that the example configuration refers to."""
    return {
        "TOCSIN_SLACK_BOT_TOKEN": world.bot_token,
        "TOCSIN_SLACK_APP_TOKEN": world.app_token,
        "TOCSIN_SLACK_SIGNING_SECRET": world.signing_secret,
        "TOCSIN_ALERTMANAGER_TOKEN": token,
        "TOCSIN_GENERIC_SECRET": "practice-generic-secret",
        "TOCSIN_KUBERNETES_TOKEN": "practice-kubernetes-token",
    }


async def _demo(auto: bool, port: int, state: Path, folder: Path) -> int:
    """Exit code 0: the post-mortem is written (auto) or the newcomer pressed Ctrl-C."""
    world = Practice(time.time, port=0 if auto else port)
    demo_world(world.cluster)
    await world.start()
    listen = f"127.0.0.1:{_free_port()}"
    started = time.monotonic()

    def tell(text: str) -> None:
        typer.echo(f"{time.monotonic() - started:5.1f}s  {text}")

    changed = overrides(world, state, listen, auto=auto)
    config = load(folder, app.registry(), {**os.environ, **secrets(world)}, overrides=changed)
    demo_folder.write(state / demo_folder.NAME, folder, changed, secrets(world))
    stop, ready = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with app.built(config) as tocsin, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(app.serve(tocsin, stop, ready))
        await ready.wait()
        if tocsin.socket_mode is not None:
            await tocsin.socket_mode.connected.wait()
        typer.echo(f"\n  Open {world.url}/ : a practice Slack workspace beside a practice cluster.\n")
        world.send_alerts_to(f"http://{listen}/webhooks/alertmanager", TOKEN)
        following = tasks.create_task(_follow(tocsin, tell))
        code = 0
        if auto:
            code = await _auto(world, tocsin, tell)
            stop.set()
        else:
            typer.echo(
                "  The checkout deployment was changed three minutes ago and is failing. Ctrl-C ends the demo.\n"
                f"  In another terminal: tocsin runbook history --config {state / demo_folder.NAME}\n"
            )
        await serving
        following.cancel()
    await world.stop()
    return code


async def _follow(tocsin: app.Tocsin, tell: Callable[[str], None]) -> None:
    """Print every new timeline entry of every incident."""
    seen: dict[int, int] = {}
    while True:
        for incident in reversed(await tocsin.incidents.listing(only_open=False)):
            if seen.get(incident.id, 0) >= incident.seq:
                continue
            for entry in (await tocsin.incidents.show(incident.id)).timeline:
                if entry.seq > seen.get(incident.id, 0):
                    tell(f"{incident.ref}  {entry.kind:14} {entry.text}")
                    seen[incident.id] = entry.seq
        await asyncio.sleep(0.1)


async def _auto(world: Practice, tocsin: app.Tocsin, tell: Callable[[str], None]) -> int:
    """A simulated person acknowledges after the second page and approves the plan; then wait for the shared post-mortem."""
    bob = Person(
        world.url, "U0BOB", [Press("tocsin_ack", 5.0), Press("tocsin_approve", 1.0)], lambda text: tell(f"Bob {text}")
    )
    try:
        async with asyncio.timeout(AUTO_LIMIT), asyncio.TaskGroup() as tasks:
            clicking = tasks.create_task(bob.run())
            path = await _postmortem_path(world, tocsin)
            clicking.cancel()
    except TimeoutError:
        incidents = await tocsin.incidents.listing(only_open=False)
        where = ", ".join(f"{one.ref} is {one.state}" for one in incidents) or "no incident was opened"
        typer.echo(f"the demo did not end within {AUTO_LIMIT:g} s: {where}", err=True)
        return 1
    await asyncio.sleep(0.2)
    typer.echo(f"\npost-mortem: {path}")
    return 0


async def _postmortem_path(world: Practice, tocsin: app.Tocsin) -> str:
    """The path, once the post-mortem is written and its file is in the channel."""
    while True:
        for incident in await tocsin.incidents.listing(only_open=False):
            if incident.postmortem_path and any(
                file.name.startswith(f"{incident.ref}-post-mortem") for file in world.workspace.state.files.values()
            ):
                return incident.postmortem_path
        await asyncio.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
