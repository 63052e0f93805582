"""Who may send, by the objects that app makes of the configuration."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from multidict import CIMultiDict
from structlog.testing import capture_logs

from bot.domain.alert import Alert
from bot.domain.incoming import HmacStyle, Incoming, KeyPlace, Parsed
from bot.entry.arrivals import SourceEntry
from bot.entry.auth import Auth, Basic, Bearer, Key, Nobody, PathToken, lowered
from bot.entry.auth_hmac import Signed, SignedAs
from bot.entry.auth_sns import Sns
from bot.entry.problems import Refused
from bot.errors import BadInput, TryLater
from tests.entry.webhook_fakes import BEARER, NOW, SECRET, TOKEN, Intake, Saying, serving, signature

STYLE = HmacStyle(header="x-signature")
FIRES = Parsed((Alert("pingdom", "1", True, {"alertname": "A"}, {}, NOW),))


async def let_in(auth: Auth, head: Incoming, body: bytes = b"{}") -> Incoming:
    """What the source gets to see. Raises what the sender would be told."""
    admitted = auth.admit(head, NOW)
    whole = Incoming(body, admitted.headers, admitted.path, admitted.query, admitted.method)
    await auth.check(whole, NOW)
    return whole


def shows(**headers: str) -> Incoming:
    return Incoming(b"", lowered({name.replace("_", "-"): value for name, value in headers.items()}))


def basic(text: str) -> Incoming:
    return shows(Authorization=f"Basic {base64.b64encode(text.encode()).decode()}")


async def test_a_signature_may_come_in_other_headers_and_within_its_own_tolerance() -> None:
    auth = Signed((SECRET,), timedelta(seconds=10), "X-Sig", "X-Time")
    signed = signature(b"{}")
    headers = {"x-sig": signed["X-Tocsin-Signature"], "x-time": signed["X-Tocsin-Timestamp"]}
    assert await auth.check(Incoming(b"{}", headers), NOW + timedelta(seconds=10))
    with pytest.raises(Refused, match="11 s away"):
        auth.admit(Incoming(b"", headers), NOW + timedelta(seconds=11))


def test_without_a_setting_nobody_gets_in_and_the_setting_is_named() -> None:
    with pytest.raises(Refused) as refused:
        Nobody("sources.am.bearer").admit(Incoming(b"", lowered(BEARER)), NOW)
    assert refused.value.hint == "set `sources.am.bearer` in tocsin.yaml"


async def fetch(address: str) -> bytes:
    raise AssertionError("nothing is to be fetched")


EMPTY = [
    lambda: Bearer(["good", ""]),
    lambda: Bearer([]),
    lambda: Basic("tocsin", [""]),
    lambda: Basic("tocsin", []),
    lambda: PathToken(["good", ""]),
    lambda: PathToken([]),
    lambda: Key([""], KeyPlace(header="x-key")),
    lambda: Signed(("",)),
    lambda: SignedAs(STYLE, ()),
    lambda: SignedAs(STYLE, ("good", "")),
    lambda: Sns([], fetch),
    lambda: Sns([""], fetch),
]


@pytest.mark.parametrize("make", EMPTY)
def test_an_empty_secret_is_refused_when_the_program_starts(make: Callable[[], Auth]) -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        make()


USER = Basic("tocsin", ["a-password", "an-older-one"])
GENIE = Key(["a-key", "an-older-key"], KeyPlace(header="authorization", scheme="GenieKey"))
GITLAB = Key(["a-key"], KeyPlace(header="x-gitlab-token"))
ROUTING = Key(["a-key", "an-older-key"], KeyPlace(members=("routing_key",)))
EITHER = Key(["a-key"], KeyPlace(header="x-routing-key", members=("routing_key",)))
PATH = PathToken(["a-token", "an-older-token"])

KNOWN: list[tuple[str, Auth, Incoming, bytes]] = [
    ("the user and the password", USER, basic("tocsin:a-password"), b""),
    ("the older password", USER, basic("tocsin:an-older-one"), b""),
    ("a password with a colon", Basic("tocsin", ["a:b"]), basic("tocsin:a:b"), b""),
    ("a password beyond ASCII", Basic("tocsin", ["pä🔑"]), basic("tocsin:pä🔑"), b""),
    ("a scheme in lower case", USER, shows(Authorization="basic dG9jc2luOmEtcGFzc3dvcmQ="), b""),
    ("a key behind its scheme", GENIE, shows(Authorization="GenieKey a-key"), b""),
    ("the older key", GENIE, shows(Authorization="geniekey an-older-key"), b""),
    ("a key in a header of its own", GITLAB, shows(X_Gitlab_Token="a-key"), b""),
    ("a key in the body", ROUTING, Incoming(b""), b'{"routing_key": "a-key"}'),
    ("the older key in the body", ROUTING, Incoming(b""), b'{"routing_key": " an-older-key "}'),
    ("a key in the header rather than in the body", EITHER, shows(X_Routing_Key="a-key"), b"{}"),
    ("a key in the body rather than in the header", EITHER, Incoming(b""), b'{"routing_key": "a-key"}'),
    ("a number for a key", Key(["1234"], KeyPlace(members=("key",))), Incoming(b""), b'{"key": 1234}'),
    ("a token in the path", PATH, Incoming(b"", path="a-token"), b""),
    ("the older token in the path", PATH, Incoming(b"", path="an-older-token/v2/enqueue"), b""),
]


@pytest.mark.parametrize(("auth", "head", "body"), [case[1:] for case in KNOWN], ids=[case[0] for case in KNOWN])
async def test_a_sender_is_known_by(auth: Auth, head: Incoming, body: bytes) -> None:
    await let_in(auth, head, body)


STRANGERS: list[tuple[str, Auth, Incoming, bytes, str]] = [
    ("nothing", USER, Incoming(b""), b"", "the Authorization header is missing"),
    ("an empty header", USER, shows(Authorization=""), b"", "the Authorization header is missing"),
    ("another scheme", USER, shows(Authorization="Bearer a-password"), b"", "not of the Basic scheme"),
    ("no password", USER, basic("tocsin:"), b"", "the user or the password is wrong"),
    ("no colon", USER, basic("tocsin"), b"", "the user or the password is wrong"),
    ("another user", USER, basic("admin:a-password"), b"", "the user or the password is wrong"),
    ("another password", USER, basic("tocsin:guess"), b"", "the user or the password is wrong"),
    ("no base64", USER, shows(Authorization="Basic a-password"), b"", "the Authorization header is not base64"),
    ("odd characters", USER, shows(Authorization="Basic \u0664\udce9"), b"", "the Authorization header is not base64"),
    ("bytes that are no text", USER, shows(Authorization="Basic /////w=="), b"", "the user or the password is wrong"),
    ("no key", GENIE, Incoming(b""), b"", "the key is missing from the authorization header"),
    ("a key without its scheme", GENIE, shows(Authorization="a-key"), b"", "the key is missing"),
    ("a key behind another scheme", GENIE, shows(Authorization="Bearer a-key"), b"", "the key is missing"),
    ("another key", GENIE, shows(Authorization="GenieKey guess"), b"", "the key in the authorization header is wrong"),
    ("an odd key", GITLAB, shows(X_Gitlab_Token="\udcff\ud800é"), b"", "the key in the x-gitlab-token header is wrong"),
    ("an empty key", GITLAB, shows(X_Gitlab_Token=""), b"", "the key is missing from the x-gitlab-token header"),
    ("no member", ROUTING, Incoming(b""), b"{}", "the key is missing from `routing_key` of the body"),
    ("a member of another type", ROUTING, Incoming(b""), b'{"routing_key": ["a-key"]}', "the key is missing"),
    ("a null", ROUTING, Incoming(b""), b'{"routing_key": null}', "the key is missing"),
    ("a wrong member", ROUTING, Incoming(b""), b'{"routing_key": "guess"}', "the key in `routing_key` of the body is wrong"),
    ("half a surrogate", ROUTING, Incoming(b""), b'{"routing_key": "\\ud800"}', "is wrong"),
    ("a list", ROUTING, Incoming(b""), b'["a-key"]', "the key is missing"),
    ("a key in another header", ROUTING, shows(Routing_Key="a-key"), b"{}", "the key is missing"),
    ("a wrong header beside the right member", EITHER, shows(X_Routing_Key="x"), b'{"routing_key": "a-key"}', "is wrong"),
    ("no token", PATH, Incoming(b""), b"", "the token is missing from the address"),
    ("another token", PATH, Incoming(b"", path="guess/a-token"), b"", "the token in the address is wrong"),
    ("part of the token", PATH, Incoming(b"", path="a-toke"), b"", "the token in the address is wrong"),
    ("an odd token", PATH, Incoming(b"", path="\udcff\u0664"), b"", "the token in the address is wrong"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("auth", "head", "body", "error"), [case[1:] for case in STRANGERS], ids=[case[0] for case in STRANGERS]
)
async def test_a_stranger_is_refused_who_shows(auth: Auth, head: Incoming, body: bytes, error: str) -> None:
    with pytest.raises(Refused) as refused:
        await let_in(auth, head, body)
    assert (refused.value.status, "WWW-Authenticate" in refused.value.headers) == (401, True)
    assert error in refused.value.error
    told = refused.value.error + refused.value.hint
    assert not [secret for secret in ("a-key", "a-password", "a-token", "guess") if secret in told]


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 20_000, b'{"a":' * 20_000, b"\xff"])
async def test_a_body_that_cannot_be_read_shows_nobody_and_is_refused_as_it_is(body: bytes) -> None:
    with pytest.raises(BadInput, match="body:"):
        await let_in(ROUTING, Incoming(b""), body)


async def test_the_token_is_not_in_the_path_that_the_source_sees() -> None:
    assert (await let_in(PATH, Incoming(b"", path="a-token/v2/alerts/7"))).path == "v2/alerts/7"
    assert (await let_in(PATH, Incoming(b"", path="a-token"))).path == ""


@pytest.mark.parametrize(
    ("path", "fails", "status"),
    [
        (f"/webhooks/pingdom/{TOKEN}", None, 200),
        (f"/webhooks/pingdom/{TOKEN}/", None, 200),
        (f"/webhooks/pingdom/{TOKEN}/more", None, 200),
        (f"/webhooks/pingdom/{TOKEN}x", None, 401),
        (f"/webhooks/closed/{TOKEN}", None, 403),
        (f"/webhooks/nowhere/{TOKEN}", None, 404),
        (f"/webhooks/alertmanager/{TOKEN}", None, 401),
        (f"/webhooks/pingdom/{TOKEN}", TryLater("database is locked"), 503),
        (f"/webhooks/pingdom/{TOKEN}", RuntimeError("a bug"), 500),
    ],
)
async def test_a_token_in_the_path_is_neither_logged_nor_told(path: str, fails: Exception | None, status: int) -> None:
    pingdom = SourceEntry("pingdom", Saying(FIRES), None, PathToken([TOKEN]))
    async with serving(Intake(fails=fails), pingdom) as client:
        with capture_logs() as logs:
            response = await client.post(path, data=b"{}")
            text = await response.text()
    assert response.status == status
    assert TOKEN not in text
    assert not [line for line in logs if TOKEN in json.dumps(line, default=str)]


async def test_a_source_sees_what_the_request_was() -> None:
    saying = Saying()
    source = SourceEntry("genie", saying, None, PathToken([TOKEN]), ("POST", "GET"))
    async with serving(Intake(), source) as client:
        address = f"/webhooks/genie/{TOKEN}/v2/alerts/?identifierType=alias&a=1&a=2&odd=%00%ff"
        await client.get(address, headers={"X-One": "1", "Authorization": "x", "Cookie": "y"})
    (heard,) = saying.heard
    assert not {"authorization", "cookie"} & set(heard.headers)
    assert (heard.method, heard.path, heard.body) == ("GET", "v2/alerts", b"")
    assert (heard.query["identifierType"], heard.query["a"], heard.headers["x-one"]) == ("alias", "1", "1")
    assert "\x00" not in heard.query["odd"] and heard.query["odd"].encode()


def test_of_a_header_that_comes_twice_the_first_counts_and_all_of_it_is_text() -> None:
    headers = CIMultiDict([("X-One", "1\udcff"), ("x-one", "2")])
    assert lowered(headers) == {"x-one": "1?"}
