"""What a good configuration becomes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
import yaml

from bot.config import Bearer, ConfigErrors, Hmac, Problem, format_problems, load, reload
from bot.domain.digest_times import DigestTimes
from bot.domain.escalation import Level, Policy
from bot.domain.flapping import Flapping
from bot.domain.inhibition import Dependencies
from bot.domain.people import Person
from bot.domain.routing import Routing
from bot.domain.schedule import Layer, Schedule
from bot.domain.severity import Taxonomy
from bot.domain.storm import Storm
from tests.config.folder import ENVIRON, GOOD, REGISTRY, TOCSIN, Logs, Mapped, loaded, warnings, written

START = datetime(2026, 1, 5, 9)  # noqa: DTZ001  by the clock on the wall


def test_people_rotations_policies_and_roles_become_the_domains(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert config.directory.people["ada"] == Person(key="ada", name="Ada", slack="U0ADA")
    layer = Layer(name="shop", turns=(("ada",), ("bob",)), every=timedelta(weeks=1), starts=START)
    assert config.directory.schedules["shop"] == Schedule(key="shop", zone="UTC", layers=(layer,))
    assert config.directory.roles == {"responders": ("ada", "bob")}
    assert config.policies["shop"] == Policy(
        key="shop",
        levels=(Level(targets=("rotation:shop",), timeout=timedelta(minutes=5)), Level(targets=("person:bob",))),
    )
    assert config.policy.where == "policy.yaml"


DIGEST = DigestTimes(time(9), "UTC", "incidents")
ROUTE = """\
slack: {bot_token: env:BOT, app_token: env:APP}
route:
  policy: ops
  group_by: [cluster]
  reopen_within: 1h
  routes:
    - match: [team="shop"]
      policy: shop
      private: true
      continue: true
      routes:
        - {match: ['severity=~"critical|error"'], group_by: []}
        - {private: false, reopen_within: 0s}
    - match: ['team!=""']
"""


def test_routes_have_from_above_what_they_do_not_say(tmp_path: Path) -> None:
    root = loaded(tmp_path, {"tocsin.yaml": ROUTE}).signal.routing.root
    shop, rest = root.routes
    critical, other = shop.routes
    assert [route.path for route in (root, shop, critical, other, rest)] == [
        "root",
        "root/0",
        "root/0/0",
        "root/0/1",
        "root/1",
    ]
    assert [route.policy for route in (root, shop, critical, other, rest)] == ["ops", "shop", "shop", "shop", "ops"]
    assert [route.private for route in (root, shop, critical, other, rest)] == [False, True, True, False, False]
    assert [route.group_by for route in (root, critical, other)] == [("cluster",), (), ("cluster",)]
    assert [route.reopen_within for route in (critical, other)] == [timedelta(hours=1), timedelta(0)]
    assert [route.go_on for route in (root, shop, critical, other, rest)] == [False, True, False, False, False]
    assert [str(route) for route in Routing(root).find({"team": "shop", "severity": "error"})] == [
        'root/0/0 (severity=~"critical|error")',
        'root/1 (team!="")',
    ]


SOURCES = """\
  alertmanager: {bearer: env:AM}
  deploys:
    type: generic
    hmac: {secret: env:AM, header: X-Sign, tolerance: 90s}
    name: pipeline
    wait: 2m
    labels: {version: 1.10}
  open: {type: generic}
"""


def test_a_source_has_its_plugins_parameters_and_knows_its_sender(tmp_path: Path) -> None:
    sources = loaded(tmp_path, {"tocsin.yaml": TOCSIN.replace("  alertmanager: {bearer: env:AM}\n", SOURCES)}).sources
    assert isinstance(sources["alertmanager"].auth, Bearer)
    deploys = sources["deploys"]
    assert (deploys.name, deploys.type) == ("deploys", "generic")
    assert isinstance(deploys.auth, Hmac)
    assert (deploys.auth.header, deploys.auth.timestamp_header) == ("X-Sign", "X-Tocsin-Timestamp")
    assert deploys.auth.tolerance == timedelta(seconds=90)
    assert deploys.params == Mapped(name="pipeline", wait=timedelta(minutes=2), labels={"version": "1.10"})
    assert sources["open"].auth is None


@pytest.mark.parametrize("entry", ["k8s_logs:", "k8s_logs: true", "k8s_logs: {}"])
def test_an_entry_switches_a_gatherer_on(tmp_path: Path, entry: str) -> None:
    config = loaded(tmp_path, {"tocsin.yaml": TOCSIN + f"context:\n  gatherers:\n    {entry}\n"})
    assert config.gatherers == {"k8s_logs": Logs()}


def test_false_switches_a_gatherer_off_and_its_parameters_are_read(tmp_path: Path) -> None:
    text = TOCSIN + "context: {gatherers: {k8s_logs: false}}\n"
    assert loaded(tmp_path, {"tocsin.yaml": text}).gatherers == {}
    text = TOCSIN + "context: {gatherers: {k8s_logs: {deadline: 3s, lines: 5}}}\n"
    assert loaded(tmp_path, {"tocsin.yaml": text}).gatherers == {
        "k8s_logs": Logs(deadline=timedelta(seconds=3), lines=5)
    }


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert (config.server.host, config.server.port, config.server.url) == ("127.0.0.1", 8080, "http://127.0.0.1:8080")
    assert (config.server.max_body_bytes, config.server.queue) == (2 << 20, 10_000)
    assert config.database.url.reveal() == f"sqlite:///{tmp_path}/conf/state/tocsin.db"
    assert config.postmortem.folder == tmp_path / "conf/state/postmortems"
    assert config.slack.api_url == "https://slack.com/api/"
    assert config.signal.taxonomy == Taxonomy()
    assert (config.signal.flapping, config.signal.storm, config.digest) == (Flapping(), Storm(), DIGEST)
    assert (config.signal.quiet, config.signal.maintenance, config.signal.relabelling.rules) == ((), (), ())
    assert config.signal.inhibition.dependencies == Dependencies({"checkout": ("cart",)}, frozenset({"critical"}))
    assert config.keep_log == timedelta(days=90)
    assert (config.auto_resolve, config.log.level, config.prometheus) == (True, "info", None)


@pytest.mark.parametrize(
    ("listen", "host", "port", "url"),
    [
        (":8080", "", 8080, "http://127.0.0.1:8080"),
        ("[::1]:80", "::1", 80, "http://[::1]:80"),
        ("0.0.0.0:0", "0.0.0.0", 0, "http://0.0.0.0:0"),
    ],
)
def test_an_address_to_listen_on_has_a_host_and_a_port(
    tmp_path: Path, listen: str, host: str, port: int, url: str
) -> None:
    server = loaded(tmp_path, overrides={"server.listen": listen}).server
    assert (server.host, server.port, server.url) == (host, port, url)


@pytest.mark.parametrize(
    ("severities", "usual"), [("[critical, warning]", "warning"), ("[p1, p2, p3]", "p2"), ("[only]", "only")]
)
def test_the_usual_severity_is_warning_or_the_last_but_one(tmp_path: Path, severities: str, usual: str) -> None:
    assert loaded(tmp_path, {"tocsin.yaml": TOCSIN + f"severities: {severities}\n"}).signal.taxonomy.default == usual


def test_paths_begin_at_the_configuration_and_state(tmp_path: Path) -> None:
    text = "state: ../var\npostmortem: {folder: pm, template: t.j2}\ndatabase: {url: 'sqlite+aiosqlite:///x.db'}\n"
    config = loaded(tmp_path, {"tocsin.yaml": TOCSIN + text, "t.j2": "hello"})
    assert config.state == tmp_path / "var"
    assert config.postmortem.folder == tmp_path / "var/pm"
    assert config.postmortem.template == tmp_path / "conf/t.j2"
    assert config.database.url.reveal() == f"sqlite+aiosqlite:///{tmp_path}/var/x.db"


@pytest.mark.parametrize("url", ["sqlite:////abs/x.db", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_is_not_relative_stays(tmp_path: Path, url: str) -> None:
    assert loaded(tmp_path, overrides={"database.url": url}).database.url.reveal() == url


# ------------------------------------------------------------------------------------------------ overrides


def test_overrides_replace_values_by_path(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    config = loaded(
        tmp_path,
        overrides={
            "slack.api_url": "http://127.0.0.1:4000/api",
            "kubernetes.url": "http://127.0.0.1:5000",
            "database": "sqlite:////tmp/demo.db",
            "oncall.policies.shop.levels[0].timeout": "10s",
            'policy.roles["responders"]': ["bob"],
            "services.cart.owner": "till",
            "context.gatherers.k8s_logs": {"lines": 3},
            "log.format": "console",
            "runbooks": ["../more"],
        },
    )
    assert config.slack.api_url == "http://127.0.0.1:4000/api/"
    assert config.kubernetes is not None
    assert config.kubernetes.url == "http://127.0.0.1:5000"
    assert config.database.url.reveal() == "sqlite:////tmp/demo.db"
    assert config.policies["shop"].levels[0].timeout == timedelta(seconds=10)
    assert config.directory.roles == {"responders": ("bob",)}
    assert config.services["cart"].owner == "till"
    assert config.gatherers == {"k8s_logs": Logs(lines=3)}
    assert (config.log.format, config.runbooks) == ("console", {})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("oncall.policies.shop.levels[7].timeout", "1s", "oncall.yaml (override): policies.shop.levels[7].timeout: there is no policies"),
        ("route.routes[9]", {}, "tocsin.yaml (override): route.routes[9]: there is no route.routes[9] to override"),
        ("oncall.policies.shop.levels[0].timeout", "soon", "oncall.yaml (override): policies.shop.levels[0].timeout: not a duration: 'soon'"),
        ("oncall.policies.shop.levels[0].timeout", 5, "oncall.yaml (override): policies.shop.levels[0].timeout: not a duration: '5'"),
        ("srever.listen", "x:1", 'tocsin.yaml (override): srever: unknown key "srever"; did you mean "server"? (known: '),
        ("a b..c", 1, "overrides: not a path: 'a b..c' at character 4; write it like route.routes[0].policy or context.gatherers"),
        ("oncall", {}, "overrides: oncall: names no value"),
        ("", {}, "overrides: an empty path"),
    ],
)  # fmt: skip
def test_an_override_that_cannot_be_is_a_problem(tmp_path: Path, path: str, value: object, message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, overrides={path: value})
    assert str(caught.value).replace(f"{tmp_path}/conf/", "").startswith(message)
    assert len(caught.value.problems) == 1


def test_overrides_are_not_changed_by_what_is_made_of_them(tmp_path: Path) -> None:
    overrides = {"kubernetes": {"url": "http://k8s"}, "kubernetes.token": "env:K8S"}
    loaded(tmp_path, overrides=overrides)
    assert overrides == {"kubernetes": {"url": "http://k8s"}, "kubernetes.token": "env:K8S"}


# ------------------------------------------------------------------------------------------------ reload


def test_a_reload_takes_over_what_is_good_and_says_what_needs_a_restart(tmp_path: Path) -> None:
    old = loaded(tmp_path)
    written(tmp_path, {"tocsin.yaml": TOCSIN + "auto_resolve: false\nserver: {queue: 5}\n"})
    new = reload(tmp_path / "conf", REGISTRY, old, ENVIRON)
    assert (old.auto_resolve, new.auto_resolve) == (True, False)
    assert [(one.path, one.message) for one in new.warnings] == [
        ("server", "has changed, which takes effect after a restart")
    ]


def test_a_bad_reload_raises_and_the_old_stays_as_it_was(tmp_path: Path) -> None:
    old = loaded(tmp_path)
    written(tmp_path, {"tocsin.yaml": "route: {}\n"})
    with pytest.raises(ConfigErrors):
        reload(tmp_path / "conf", REGISTRY, old, ENVIRON)
    assert old.signal.routing.root.policy == "ops"


def test_loading_twice_gives_the_same(tmp_path: Path) -> None:
    once, again = loaded(tmp_path), load(tmp_path / "conf", REGISTRY, ENVIRON)
    assert replace(once, signal=again.signal) == again
    assert once.signal.routing.root == again.signal.routing.root
    assert once.signal.taxonomy == again.signal.taxonomy
    assert once.signal.inhibition.version == again.signal.inhibition.version


# ------------------------------------------------------------------------------------------------ warnings


DOUBTS = yaml.safe_load((Path(__file__).parent / "doubts.yaml").read_text())


@pytest.mark.parametrize("doubt", DOUBTS, ids=[one["says"].partition(": ")[2] for one in DOUBTS])
def test_what_is_doubtful_is_a_warning(tmp_path: Path, doubt: dict[str, str]) -> None:
    good = GOOD[doubt["file"]]
    assert doubt["from"] in good
    found = warnings(tmp_path, {doubt["file"]: good.replace(doubt["from"], doubt["to"], 1)})
    assert [one.replace(f"{tmp_path}/conf/", "") for one in found] == doubt["says"].splitlines()


def test_a_file_with_nearly_the_right_name_is_a_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path, {"on-call.yaml": ""}) == [
        "on-call.yaml: is not read: the files are tocsin.yaml, services.yaml, oncall.yaml, policy.yaml; "
        'did you mean "oncall.yaml"?'
    ]


def test_a_good_configuration_has_no_warnings(tmp_path: Path) -> None:
    assert warnings(tmp_path) == []


def test_problems_and_warnings_are_listed_and_counted() -> None:
    problem, warning = Problem("a.yaml", 1, 2, "b.c", "is wrong"), Problem("d.yaml", 0, 0, "", "is odd")
    assert format_problems([problem], [warning, warning]) == (
        "error: a.yaml:1:2: b.c: is wrong\nwarning: d.yaml: is odd\nwarning: d.yaml: is odd\n1 problem, 2 warnings"
    )
    assert format_problems([]) == "no problems"
