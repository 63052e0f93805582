"""A real Prometheus and Alertmanager fire at a real `tocsin serve`; only Slack and the cluster are practice."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.practice.server import Practice
from tests.support.command_line import SECRETS, changed, folder, started, world
from tests.support.monitoring import missing, monitoring
from tests.support.program import free_port, words
from tests.support.scraped import value

pytestmark = [
    pytest.mark.real,
    pytest.mark.timeout(150),
    pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {missing()} (apt-get install them)"),
]


def until(holds: Callable[[], object], what: str, seconds: float = 45.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: it did not come"
        time.sleep(0.1)


def text(practice: Practice, name: str) -> str:
    channels = [one for one in list(practice.workspace.state.channels.values()) if one.name.startswith(name)]
    return "\n".join(words(message) for channel in channels for message in list(channel.messages.values()))


def test_one_problem_is_one_channel_until_it_resolves_and_what_is_silenced_or_orphaned_does_no_harm(
    tmp_path: Path,
) -> None:
    listen = f"127.0.0.1:{free_port()}"
    webhook, token = f"http://{listen}/webhooks/alertmanager", SECRETS["TOCSIN_ALERTMANAGER_TOKEN"]
    log = tmp_path / "tocsin.log"

    def counted(name: str, **labels: str) -> float:
        with urllib.request.urlopen(f"http://{listen}/metrics", timeout=5) as answer:
            return value(answer.read().decode(), name, **labels)

    def outcomes(outcome: str) -> float:
        return counted("tocsin_alerts_received_total", source="alertmanager", outcome=outcome)

    with world() as practice, monitoring(tmp_path, webhook, token) as real:
        config = folder(tmp_path, practice.url, listen)
        changed(config / "tocsin.yaml", f"{practice.url}/prometheus", real.prometheus)
        with started("serve", "--config", config, log=log):
            real.silence("search")
            real.ratios.update(checkout=0.3, search=0.4)
            until(lambda: "Approve" in text(practice, "inc-1"), "the plan in the channel")
            assert "error ratio 30% on shop/checkout" in text(practice, "inc-1")
            until(lambda: real.firing() >= {"checkout", "search"}, "the silenced alert in Alertmanager")

            real.ratios.update(cart=0.2)  # another service: another problem, in the same group of Alertmanager
            until(lambda: outcomes("opened") == 2, "the second incident")
            until(lambda: outcomes("repeated") >= 1, "the first alert again, beside the second")

            real.ratios.update(checkout=0.0, cart=0.0, search=0.0)
            until(lambda: outcomes("resolved") == 2, "the resolves")
            until(lambda: text(practice, "inc-").count("resolved: every alert has resolved") >= 2, "it is said")
            until(lambda: real.firing() == set(), "the silenced one resolves too")
            time.sleep(3)  # one more round of Alertmanager: the orphans come now, if any

            assert outcomes("opened") == 2
            names = [one.name for one in practice.workspace.state.channels.values() if one.name.startswith("inc-")]
            assert names == ["inc-1-checkout-high-error-rate", "inc-2-cart-high-error-rate"]
            assert "search" not in text(practice, "inc-")
            assert counted("tocsin_webhook_seconds_count", source="alertmanager", code="401") == 0
    assert "Traceback" not in log.read_text()
    assert token not in log.read_text()


def test_a_wrong_token_is_refused_and_nothing_happens(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    log = tmp_path / "tocsin.log"
    with world() as practice, monitoring(tmp_path, f"http://{listen}/webhooks/alertmanager", "wrong") as real:
        with started("serve", "--config", folder(tmp_path, practice.url, listen), log=log):
            real.ratios.update(checkout=0.3)
            until(lambda: "webhook refused" in log.read_text(), "the refusal")
        assert [one.name for one in practice.workspace.state.channels.values() if one.name.startswith("inc-")] == []
    assert "wrong" not in log.read_text().replace("is wrong", "")
