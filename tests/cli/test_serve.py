"""`tocsin serve` and `tocsin reload` as processes of their own: what cannot start says why; a wrong configuration changes nothing."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.support.command_line import SECRETS, changed, folder, started, tocsin, world
from tests.support.program import free_port


def until(holds: Callable[[], object], seconds: float = 45.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def asked(url: str, body: object = None) -> tuple[int, str]:
    """GET, or POST with the practice token; (0, why) when nobody answers."""
    headers = {"Authorization": f"Bearer {SECRETS['TOCSIN_ALERTMANAGER_TOKEN']}"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()
    except OSError as error:
        return 0, str(error)


def outcome(url: str, **labels: str) -> str:
    every = {"alertname": "HighErrorRate", "team": "shop", "severity": "warning", **labels}
    body = {"version": "4", "alerts": [{"status": "firing", "labels": every, "startsAt": "2026-01-01T00:00:00Z"}]}
    status, text = asked(f"{url}/webhooks/alertmanager", body)
    assert status == 200, text
    return str(json.loads(text)["alerts"][0]["outcome"])


def test_it_serves_reloads_keeps_from_a_wrong_configuration_and_stops(tmp_path: Path) -> None:
    log = tmp_path / "log"
    listen = f"127.0.0.1:{free_port()}"
    url = f"http://{listen}"
    with world() as practice:
        config = folder(tmp_path, practice.url, listen)
        pid_file = tmp_path / "state" / "tocsin.pid"
        with started("serve", "--config", config, log=log) as serving:
            until(lambda: asked(f"{url}/readyz")[0] == 200)
            until(lambda: b"socket mode: connected" in log.read_bytes())
            assert int(pid_file.read_text()) == serving.pid
            assert outcome(url, service="cart") == "opened"
            assert outcome(url, service="search") == "opened"

            second = tocsin("serve", "--config", config)
            assert second.code == 2
            assert f"running already: process {serving.pid}" in second.err
            assert int(pid_file.read_text()) == serving.pid, "and nothing was taken from the first"

            changed(config / "tocsin.yaml", "group_by: [alertname, service]", "group_by: [team]")
            ended = tocsin("reload", "--config", config)
            assert ended.code == 0, ended.text
            until(lambda: b"configuration reloaded" in log.read_bytes())
            assert outcome(url, service="one") == "opened"
            assert outcome(url, service="two") == "joined"

            changed(config / "tocsin.yaml", "policy: default # in oncall.yaml", "policy: nonsuch")
            ended = tocsin("reload", "--config", config)
            assert ended.code == 2
            assert "nonsuch" in ended.err
            serving.send_signal(signal.SIGHUP)
            until(lambda: b"the new configuration is wrong" in log.read_bytes())
            assert outcome(url, service="three") == "joined", "the old one stays"

            serving.terminate()
            assert serving.wait(20) == 0
        assert not pid_file.exists()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"listening", "stopping", "stopped"} <= {line["event"] for line in lines}
    assert "Traceback" not in log.read_text()
    assert not any(secret in log.read_text() for secret in SECRETS.values())


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with world() as practice:
        config = folder(tmp_path, practice.url, practice.url.removeprefix("http://"))
        ended = tocsin("serve", "--config", config)
    assert ended.code == 1
    assert "address already in use" in ended.err
    assert "Traceback" not in ended.text


def test_a_reload_without_a_server_is_said(tmp_path: Path) -> None:
    config = folder(tmp_path)
    heard: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _, heard=heard: heard.append(number))
    for content in (None, "nonsense", f"{os.getpid()}\n"):  # the last one, if it were believed, would hear of it
        if content:
            (tmp_path / "state").mkdir(exist_ok=True)
            (tmp_path / "state" / "tocsin.pid").write_text(content)
        ended = tocsin("reload", "--config", config)
        assert ended.code == 2
        assert "no running server was found" in ended.err
        assert "Traceback" not in ended.text
    signal.signal(signal.SIGHUP, before)
    assert heard == []


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    config = folder(tmp_path)
    (tmp_path / "state").write_text("a file where the folder should be")
    for words in (("serve",), ("doctor",), ("db", "upgrade")):
        ended = tocsin(*words, "--config", config)
        assert ended.code in (1, 2), words
        assert str(tmp_path / "state") in ended.err
        assert "Traceback" not in ended.text
