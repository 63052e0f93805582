"""The JSON API for silences, in Tocsin's own shape and in Alertmanager's; who may use it, and what is said when something is wrong."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.domain.incident import State
from bot.entry import problems
from bot.entry.api import SilenceApi
from bot.entry.api_access import MOST_BYTES, Access
from bot.entry.api_alertmanager import AlertmanagerApi
from bot.store import open_store
from tests.support.clock import HandClock
from tests.support.house import ADA, House

TOKENS = {"deploy-bot": "s3cr3t-deploy", "backup": "s3cr3t-backup"}
AUTHORIZED = {"Authorization": "Bearer s3cr3t-deploy"}
ONE = {"matchers": ['alertname="Broken"'], "for": "2h", "reason": "replacing disks"}
BASE = "/api/v1/silences"


@dataclass
class Site:
    house: House
    client: TestClient[web.Request, web.Application]

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = AUTHORIZED
    ) -> tuple[int, Any]:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        async with self.client.request(method, path, data=data, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def refused(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, str]:
        status, answer = await self.ask(method, path, body, **more)
        assert status >= 400
        return status, f"{answer['error']} | {answer['hint']}" if isinstance(answer, dict) else answer


@asynccontextmanager
async def site(tokens: Mapping[str, str] = TOKENS, clock: HandClock | None = None) -> AsyncIterator[Site]:
    house = House(await open_store("memory://"), clock=clock)
    app = web.Application(middlewares=[problems.middleware])
    access = Access(tokens)
    app.add_routes(SilenceApi(house.silences, access).routes())
    app.add_routes(AlertmanagerApi(house.silences, access).routes())
    async with TestClient(TestServer(app)) as client:
        yield Site(house, client)


# ------------------------------------------------------------------------------------------------ who may


EVERY = [
    ("GET", BASE),
    ("POST", BASE),
    ("GET", f"{BASE}/1"),
    ("PATCH", f"{BASE}/1"),
    ("PUT", f"{BASE}/1"),
    ("DELETE", f"{BASE}/1"),
    ("GET", "/api/v2/silences"),
    ("POST", "/api/v2/silences"),
    ("GET", "/api/v2/silence/1"),
    ("DELETE", "/api/v2/silence/1"),
]


@pytest.mark.parametrize(("method", "path"), EVERY)
async def test_without_configured_tokens_nobody_may(method: str, path: str) -> None:
    async with site({}) as it:
        status, said = await it.refused(method, path, ONE)
        assert status == 403
        assert "set `api.tokens` in tocsin.yaml" in said


def basic(name: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer wrong",
        "Bearer s3cr3t-deploy2",
        "Token s3cr3t-deploy",
        "Basic ???",
        basic("backup", "s3cr3t-deploy"),
        basic("", "s3cr3t-deploy"),
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        "Basic " + "A" * 6000,
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", BASE), ("POST", "/api/v2/silences"), ("GET", BASE)])
async def test_who_does_not_show_a_right_token_changes_and_sees_nothing(method: str, path: str, given: str) -> None:
    async with site() as it:
        status, said = await it.refused(method, path, ONE, headers={"Authorization": given} if given else {})
        assert status == 401
        assert "s3cr3t" not in said
        assert await it.house.silences.listing() == []


async def test_the_token_says_who_it_was() -> None:
    async with site() as it:
        _, plain = await it.ask("POST", BASE, ONE)
        _, named = await it.ask("POST", BASE, {**ONE, "author": "Ada\n Lovelace"})
        _, other = await it.ask("POST", BASE, ONE, headers={"Authorization": basic("backup", "s3cr3t-backup")})
        assert [one["author"] for one in (plain, named, other)] == [
            "api:deploy-bot",
            "Ada Lovelace via deploy-bot",
            "api:backup",
        ]


# ------------------------------------------------------------------------------------------------ Tocsin's own


async def test_one_is_made_looked_at_moved_and_ended() -> None:
    async with site() as it:
        status, made = await it.ask("POST", BASE, ONE)
        assert (status, made["number"], made["state"], made["kind"]) == (201, 1, "active", "silence")
        assert made["ends_at"] == "2026-03-02T05:00:00+00:00"
        assert made["matches"] == {"alerts": 0, "incidents": []}
        await it.house.receive(it.house.alert())
        status, shown = await it.ask("GET", f"{BASE}/1")
        assert shown["hides"] == {"now": 1, "ever": 1}
        assert shown["alerts"] == [
            {
                "alert": "test/f1",
                "name": "Broken",
                "summary": "Broken on checkout",
                "since": "2026-03-02T03:00:00+00:00",
            }
        ]
        for method, body, end in (
            ("PATCH", {"extend": "1h"}, "06:00"),
            ("PATCH", {"shorten": "30m"}, "05:30"),
            ("PUT", {"ends_at": "2026-03-02T09:00:00+01:00"}, "08:00"),
        ):
            status, moved = await it.ask(method, f"{BASE}/1", body)
            assert (status, moved["ends_at"]) == (200, f"2026-03-02T{end}:00+00:00")
        status, ended = await it.ask("DELETE", f"{BASE}/1")
        assert (status, ended["state"]) == (200, "expired")
        assert "1 alert that it hid is looked at again" in ended["message"]
        await it.house.settle()
        assert len(await it.house.incidents.listing()) == 1
        status, said = await it.refused("DELETE", f"{BASE}/1")
        assert (status, said.split(";")[0]) == (400, "silence 1 ended at 2026-03-02 03:00 UTC")


async def test_the_list_is_by_state_and_kind() -> None:
    async with site() as it:
        await it.ask("POST", BASE, ONE)
        await it.ask("POST", BASE, {**ONE, "starts_at": "2026-03-03T00:00:00Z"})
        every = {
            **ONE,
            "kind": "maintenance",
            "every": "sat,sun 02:00-04:00 Europe/Berlin",
            "ends_at": "2026-06-01T00:00:00Z",
        }
        del every["for"]
        _, made = await it.ask("POST", BASE, every)
        assert made["windows"] == [{"days": ["sat", "sun"], "between": ["02:00", "04:00"], "zone": "Europe/Berlin"}]
        await it.ask("DELETE", f"{BASE}/1")

        async def numbers(query: str) -> list[int]:
            _, found = await it.ask("GET", f"{BASE}{query}")
            return [one["number"] for one in found["silences"]]

        assert await numbers("") == [2, 3, 1]
        assert await numbers("?state=expired") == [1]
        assert await numbers("?state=pending") == [2]
        assert await numbers("?state=active&kind=maintenance") == [3]
        assert await it.refused("GET", f"{BASE}?state=activ") == (
            400,
            "state: there is no 'activ' | there are: active, pending, expired",
        )
        assert (await it.refused("GET", f"{BASE}?kind=x"))[0] == 400


async def test_matchers_may_be_one_text_and_windows_whole() -> None:
    async with site() as it:
        _, made = await it.ask("POST", BASE, {**ONE, "matchers": '{alertname="Broken",service=~"a|b, c"}'})
        assert made["matchers"] == ['alertname="Broken"', 'service=~"a|b, c"']
        window = {"days": ["mon"], "between": ["22:00", "06:00"], "zone": "UTC"}
        _, made = await it.ask("POST", BASE, {**ONE, "kind": "maintenance", "windows": [window]})
        assert made["windows"] == [{"days": ["mon"], "between": ["22:00", "06:00"]}]


async def test_one_for_an_incident_acknowledges_it() -> None:
    async with site() as it:
        await it.house.receive(it.house.alert())
        status, made = await it.ask("POST", BASE, {"incident": "INC-1", "for": "1h", "reason": "x", "author": "Ada"})
        assert (status, made["incident"], made["matches"]["incidents"]) == (201, "INC-1", ["INC-1"])
        incident = await it.house.incident()
        assert (incident.state, incident.acknowledged_by) == (State.ACKNOWLEDGED, "Ada via deploy-bot")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({**ONE, "reson": "x"}, "body: there is no member 'reson'; did you mean \"reason\"? There are: matchers,"),
        ({**ONE, "for": "2 moons"}, "Not a duration: '2 moons'"),
        ({**ONE, "for": 7}, "Not a duration: '7'; it has no unit"),
        ({**ONE, "matchers": "nonsense"}, "'nonsense' is not a matcher; write it like"),
        ({**ONE, "matchers": ["nonsense"]}, "not a matcher: 'nonsense'"),
        ({**ONE, "matchers": ['a=~".*"']}, "would hide everything"),
        ({**ONE, "matchers": []}, "Which alerts?"),
        ({**ONE, "matchers": {"a": "b"}}, "body.matchers"),
        ({**ONE, "reason": ""}, "A silence needs a reason"),
        ({**ONE, "ends_at": "2026-03-02T05:00:00Z"}, "Say either how long it lasts or when it ends"),
        ({**ONE, "starts_at": "2026-03-02T05:00"}, "body.starts_at: '2026-03-02T05:00' has no time zone"),
        ({**ONE, "starts_at": "0001-01-01T00:00:00+14:00"}, "is not between the years 1970 and 2200"),
        ({**ONE, "starts_at": 5}, "body.starts_at: not a time"),
        ({**ONE, "kind": "holiday"}, "body.kind"),
        ({**ONE, "every": "sat"}, "A silence does not recur"),
        ({**ONE, "kind": "maintenance", "every": "caturday"}, "'caturday' is not a day; did you mean \"saturday\"?"),
        ({**ONE, "kind": "maintenance", "every": "sat 02:00-04:00 Europe/Berlim"}, 'did you mean "Europe/Berlin"'),
        ({**ONE, "kind": "maintenance", "every": "day"}, "needs times of day"),
        ({**ONE, "incident": "the big one"}, "body.incident: 'the big one' does not name an incident"),
        ({**ONE, "incident": "INC-9"}, "There is no INC-9"),
        ([], "body: found a list of 0; expected an object with matchers"),
        (b"", "body: it is empty"),
        (b'{"matchers": [', "body: line 1, column"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"[" * 20_000, "nested too deeply"),
    ],
)
async def test_wrong_input_is_said_and_leaves_nothing(body: Any, said: str) -> None:
    async with site() as it:
        status, answer = await it.refused("POST", BASE, body)
        assert status == 400
        assert said in answer
        assert await it.house.silences.listing() == []


@pytest.mark.parametrize(
    "body", [{}, {"extend": "1h", "shorten": "1h"}, {"extend": "soon"}, {"ends_at": "soon"}, {"end": "1h"}]
)
async def test_a_wrong_change_is_said_and_changes_nothing(body: Any) -> None:
    async with site() as it:
        _, before = await it.ask("POST", BASE, ONE)
        assert (await it.refused("PATCH", f"{BASE}/1", body))[0] == 400
        _, after = await it.ask("GET", f"{BASE}/1")
        assert after["ends_at"] == before["ends_at"]


async def test_what_is_not_there_and_too_large_bodies() -> None:
    async with site() as it:
        for number in ("7", "0", "-1", "abc", "9" * 50):
            for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"extend": "1h"})):
                status, said = await it.refused(method, f"{BASE}/{number}", body)
                assert status == 404, said
        status, said = await it.refused("POST", BASE, b" " * (MOST_BYTES + 1))
        assert (status, said.partition(" |")[0]) == (413, f"the body is larger than {MOST_BYTES} bytes")
        assert (await it.refused("DELETE", BASE))[0] == 405


async def test_odd_characters_do_no_harm() -> None:
    async with site() as it:
        body = b'{"matchers": ["alertname=\\u0000x"], "for": "1h", "reason": "\\ud800 \\u0000 ok"}'
        status, made = await it.ask("POST", BASE, body)
        assert status == 201
        assert "\x00" not in made["reason"] + made["matchers"][0]


# ------------------------------------------------------------------------------------------------ Alertmanager's


def posted(clock: HandClock, **update: Any) -> dict[str, Any]:
    return {
        "matchers": [
            {"name": "alertname", "value": "Broken", "isRegex": False, "isEqual": True},
            {"name": "service", "value": "a|b", "isRegex": True, "isEqual": False},
        ],
        "startsAt": clock().isoformat(),
        "endsAt": (clock() + timedelta(hours=2)).isoformat().replace("+00:00", ".123456789Z"),
        "createdBy": "Ada",
        "comment": "replacing disks",
        **update,
    }


async def test_alertmanagers_shape_goes_in_and_out() -> None:
    async with site() as it:
        assert await it.ask("POST", "/api/v2/silences", posted(it.house.clock)) == (200, {"silenceID": "1"})
        _, [found] = await it.ask("GET", "/api/v2/silences")
        assert found == {
            "id": "1",
            "status": {"state": "active"},
            "matchers": [
                {"name": "alertname", "value": "Broken", "isRegex": False, "isEqual": True},
                {"name": "service", "value": "a|b", "isRegex": True, "isEqual": False},
            ],
            "startsAt": "2026-03-02T03:00:00.000Z",
            "endsAt": "2026-03-02T05:00:00.123Z",
            "updatedAt": "2026-03-02T03:00:00.000Z",
            "createdBy": "Ada via deploy-bot",
            "comment": "replacing disks",
        }
        assert await it.ask("GET", "/api/v2/silence/1") == (200, found)
        assert await it.ask("DELETE", "/api/v2/silence/1") == (200, None)
        _, [found] = await it.ask("GET", "/api/v2/silences")
        assert found["status"] == {"state": "expired"}


async def test_a_recurring_one_and_one_without_an_end_fit_in_as_well_as_they_can() -> None:
    async with site() as it:
        await it.ask(
            "POST",
            BASE,
            {"matchers": ["a=b"], "reason": "backups", "kind": "maintenance", "every": "sat 02:00-04:00"},
        )
        _, [found] = await it.ask("GET", "/api/v2/silences")
        assert found["status"] == {"state": "pending"}, "it is not saturday"
        assert found["comment"] == "backups (every sat 02:00-04:00 UTC)"
        assert datetime.fromisoformat(found["endsAt"]) > it.house.clock() + timedelta(days=300)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 1),
        ("?filter=alertname%3D%22Broken%22", 1),
        ("?filter=alertname%3D%22Other%22", 0),
        ("?filter=alertname%3D~%22Bro.*%22&filter=service%3Da%7Cb", 1),
        ("?filter=team%3Dshop", 0),
        ("?filter=team!%3Dshop", 1),
    ],
)
async def test_filters_look_at_the_matchers_as_they_are_written(query: str, count: int) -> None:
    async with site() as it:
        await it.ask("POST", "/api/v2/silences", posted(it.house.clock))
        _, found = await it.ask("GET", f"/api/v2/silences{query}")
        assert len(found) == count


async def test_posting_with_an_id_moves_the_end_or_replaces() -> None:
    async with site() as it:
        await it.ask("POST", "/api/v2/silences", posted(it.house.clock))
        _, [first] = await it.ask("GET", "/api/v2/silences")
        it.house.clock.forward(minutes=5)
        later = {**first, "endsAt": "2026-03-02T07:00:00.000Z"}
        assert await it.ask("POST", "/api/v2/silences", later) == (200, {"silenceID": "1"})
        _, found = await it.ask("GET", "/api/v2/silence/1")
        assert found["endsAt"] == "2026-03-02T07:00:00.000Z"
        other = {**found, "matchers": first["matchers"][:1]}
        assert await it.ask("POST", "/api/v2/silences", other) == (200, {"silenceID": "2"})
        _, listed = await it.ask("GET", "/api/v2/silences")
        assert {one["id"]: one["status"]["state"] for one in listed} == {"1": "expired", "2": "active"}
        wrong = {**found, "id": "2", "matchers": []}
        assert (await it.refused("POST", "/api/v2/silences", wrong))[0] == 400
        assert (await it.ask("GET", "/api/v2/silence/2"))[1]["status"] == {"state": "active"}, "a refusal ends nothing"


@pytest.mark.parametrize(
    ("update", "status", "said"),
    [
        ({"matchers": [{"name": "a", "value": ".*", "isRegex": True}]}, 400, "would hide everything"),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, 400, "not a regular expression"),
        ({"matchers": [{"name": "", "value": "x", "isRegex": False}]}, 400, "not a matcher"),
        ({"matchers": [{"name": "a", "value": "x"}]}, 400, "body.matchers.0.isRegex"),
        ({"endsAt": "2026-03-01T00:00:00Z"}, 400, "would have ended already"),
        ({"endsAt": "9999-12-31T23:59:59-14:00"}, 400, "is not between the years"),
        ({"comment": ""}, 400, "needs a reason"),
        ({"id": "42"}, 404, "There is no silence 42"),
        ({"id": "0ca9b8e5-b5b0-4a8c-a7a1-1f4a3f3e4d5c"}, 404, "There is no silence '0ca9"),
    ],
)
async def test_alertmanagers_clients_are_told_in_a_json_text(update: dict[str, Any], status: int, said: str) -> None:
    async with site() as it:
        answer = await it.refused("POST", "/api/v2/silences", posted(it.house.clock, **update))
        assert answer[0] == status
        assert isinstance(answer[1], str)
        assert said in answer[1]
        assert await it.house.silences.listing() == []
    async with site() as it:
        assert (await it.refused("GET", "/api/v2/silences?filter=nonsense"))[0] == 400
        assert (await it.refused("DELETE", "/api/v2/silence/7"))[0] == 404


class WallClock(HandClock):
    """The time it is: amtool looks at its own clock."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


@pytest.mark.real
@pytest.mark.skipif(shutil.which("amtool") is None, reason="no amtool here: apt-get install prometheus-alertmanager")
async def test_the_real_amtool_adds_asks_updates_and_expires(tmp_path: Path) -> None:
    settings = tmp_path / "http.yml"
    settings.write_text("authorization: {credentials: s3cr3t-deploy}\n")
    async with site(clock=WallClock()) as it:

        async def amtool(*words: str, credentials: bool = True) -> tuple[int, str]:
            http = ["--http.config.file", str(settings)] if credentials else []
            command = ["amtool", f"--alertmanager.url={it.client.make_url('/')}", *http, "silence", *words]
            process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env={"HOME": str(tmp_path)}
            )
            out, _ = await process.communicate()
            return process.returncode or 0, out.decode().strip()

        add = ("add", "alertname=Broken", 'service=~"a|b"', "--author", "Ada", "--duration", "2h")
        assert await amtool(*add, "--comment", "replacing disks") == (0, "1")
        code, listed = await amtool("query", "-o", "json", "alertname=Broken")
        assert code == 0, listed
        [found] = json.loads(listed)
        assert (found["id"], found["createdBy"], found["status"]["state"]) == ("1", "Ada via deploy-bot", "active")
        (made,) = await it.house.silences.listing()
        assert made.silence.matchers == ('alertname="Broken"', 'service=~"a|b"')
        code, said = await amtool("update", "1", "--duration", "5h")
        assert code == 0, said
        (moved,) = await it.house.silences.listing()
        assert moved.silence.number == 1
        assert moved.silence.ends_at is not None
        assert made.silence.ends_at is not None
        assert moved.silence.ends_at > made.silence.ends_at + timedelta(hours=2)
        assert (await amtool("expire", "1"))[0] == 0
        assert [one.phase for one in await it.house.silences.listing()] == ["expired"]
        code, said = await amtool("add", "alertname=~.*", "--author", "Ada", "--comment", "x")
        assert code != 0
        assert "would hide everything" in said
        code, said = await amtool("query", credentials=False)
        assert code != 0


async def test_who_made_one_here_is_as_good_there() -> None:
    async with site() as it:
        await it.house.receive(it.house.alert())
        await it.ask("POST", BASE, {**ONE, "matchers": ["service=cart"]})
        await it.house.silences.extend(1, timedelta(hours=1), ADA)
        _, found = await it.ask("GET", "/api/v2/silence/1")
        assert found["endsAt"] == "2026-03-02T06:00:00.000Z"
