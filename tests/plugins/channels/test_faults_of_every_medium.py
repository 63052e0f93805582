"""What every HTTP medium has to do about the faults of the other side: one table, so that a new medium gets them by one entry in set_up.MEDIA."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback

import pytest

from bot.clients.breaker import FAILURES, REST
from bot.errors import BadInput, GaveUp, TryLater
from bot.plugins import discover
from tests.plugins.channels.set_up import MEDIA, PAGE, house
from tests.support.media_servers import Fault

every = pytest.mark.parametrize("name", sorted(MEDIA))
WAIT = 1.0  # seconds, where there is no answer
OTHERS = {
    "email",
    "twilio_sms",
    "twilio_call",
    "log",
    "apprise",
}  # they have no HTTP of their own here, or their own tests


def test_every_http_medium_is_in_the_table() -> None:
    assert {one.type for one in MEDIA.values()} == set(discover("channels")) - OTHERS


@every
async def test_a_page_arrives_and_is_named(name: str) -> None:
    async with house(name) as at:
        receipt = await at.send()
    assert len(at.product.kept) == 1
    assert "Checkout fails" in at.product.asked[0].body.decode().replace("+", " ")
    assert receipt.provider_id or name == "mattermost"  # whose webhook says `ok` and nothing more
    assert receipt.answer


@every
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failure_of_the_server_is_for_later_and_may_have_arrived(name: str, status: int) -> None:
    async with house(name) as at:
        at.product.faults = [Fault(status, "<html>upstream</html>", {"Retry-After": "7"})]
        with pytest.raises(TryLater, match=f"answered {status}") as raised:
            await at.send()
    assert (raised.value.delay, raised.value.uncertain) == (7.0, True)
    assert "html" not in str(raised.value)


@every
async def test_too_many_requests_is_for_later_and_has_not_arrived(name: str) -> None:
    async with house(name) as at:
        at.product.faults = [Fault(429, '{"message": "slow down"}', {"Retry-After": "3"})]
        with pytest.raises(TryLater, match="429: slow down") as raised:
            await at.send()
    assert (raised.value.delay, raised.value.uncertain) == (3.0, False)


@every
@pytest.mark.parametrize(
    ("body", "delay"),
    [
        ('{"message": "limited", "retry_after": 1.5, "global": false}', 1.5),
        ('{"ok": false, "description": "Too Many Requests", "parameters": {"retry_after": 14}}', 14.0),
        ('{"retry_after": "soon"}', None),
        ('{"retry_after": -1}', None),
        ('{"retry_after": 1e300}', 3600.0),
        ("[" * 100_000, None),
        ("not json", None),
    ],
)
async def test_when_to_come_again_may_stand_in_the_body(name: str, body: str, delay: float | None) -> None:
    async with house(name) as at:
        at.product.faults = [Fault(429, body)]
        with pytest.raises(TryLater) as raised:
            await at.send()
    assert raised.value.delay == delay


@every
@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_wrong_credentials_and_what_is_gone_are_for_good_and_say_what_to_look_at(name: str, status: int) -> None:
    async with house(name) as at:
        at.product.faults = [Fault(status, '{"message": "no such thing"}')]
        with pytest.raises(GaveUp, match=f"answered {status}: no such thing; ") as raised:
            await at.send()
    assert f"my-{name}" in str(raised.value) or "tocsin.yaml" in str(raised.value)


@every
@pytest.mark.parametrize(
    ("status", "headers"), [(400, {}), (413, {}), (422, {}), (302, {"Location": "https://elsewhere.example/"})]
)
async def test_what_the_provider_cannot_read_is_bad_input_in_its_words(
    name: str, status: int, headers: dict[str, str]
) -> None:
    async with house(name) as at:
        at.product.faults = [Fault(status, '{"message": "Invalid body", "errors": ["text is wrong"]}', headers)]
        with pytest.raises(BadInput, match=f"answered {status}: Invalid body: text is wrong"):
            await at.send()
    assert len(at.product.asked) == 1


@every
async def test_who_hangs_up_is_for_later_and_uncertain(name: str) -> None:
    async with house(name) as at:
        at.product.faults = [Fault()]
        with pytest.raises(TryLater) as raised:
            await at.send()
    assert raised.value.uncertain


@every
async def test_a_server_that_is_not_there_is_for_later_and_certain(name: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with house(name, url=f"http://127.0.0.1:{port}") as at:
        with pytest.raises(TryLater, match="cannot connect to") as raised:
            await at.send()
    assert not raised.value.uncertain


@every
@pytest.mark.parametrize("fault", [Fault(taken=True), Fault(500, taken=True)], ids=["hangs up", "500"])
async def test_an_answer_lost_after_the_delivery_gives_no_duplicate_where_the_protocol_allows(
    name: str, fault: Fault
) -> None:
    async with house(name) as at:
        at.product.faults = [fault]
        with pytest.raises(TryLater) as raised:
            await at.send()
        assert raised.value.uncertain
        await at.send(again=True)
    assert len(at.product.kept) == (1 if MEDIA[name].once else 2)
    sent = at.product.asked[-1].body.decode().replace("+", " ")
    assert ("Sent again" in sent) == MEDIA[name].says_again


@every
async def test_a_dead_destination_costs_nothing_after_a_while_and_is_used_again_when_it_is_back(name: str) -> None:
    async with house(name) as at:
        at.product.faults = [Fault(503)] * FAILURES
        for _ in range(FAILURES):
            with pytest.raises(TryLater, match="answered 503"):
                await at.send()
        with pytest.raises(TryLater, match="not tried") as raised:
            await at.send()
        assert (raised.value.delay, raised.value.uncertain) == (REST.total_seconds(), False)
        assert len(at.product.asked) == FAILURES
        at.clock.forward(seconds=REST.total_seconds())
        await at.send()
        await at.send()
    assert len(at.product.asked) == FAILURES + 2


async def test_who_does_not_answer_in_time_is_for_later_and_uncertain_and_shows_no_secret() -> None:
    """All at the same time, since each waits."""

    async def hanging(name: str) -> str:
        async with house(name, within=WAIT) as at:
            at.product.faults = [Fault(taken=True, hang=True)]
            with pytest.raises(TryLater, match=f"no answer from .* in {WAIT:g} s") as raised:
                await at.send()
            error = raised.value
            await at.send(again=True)
        assert len(at.product.kept) == (1 if MEDIA[name].once else 2), name
        assert (error.uncertain, error.__cause__, error.__context__) == (True, None, None), name
        return "".join(traceback.format_exception(error))

    shown = await asyncio.gather(*(hanging(name) for name in MEDIA))
    assert [secret for one in MEDIA.values() for secret in one.secrets if secret in "".join(shown)] == []


FAULTS = (
    Fault(),
    *(Fault(status, "{secrets}") for status in (301, 400, 401, 403, 404, 410, 429, 500)),
    Fault(200, "x" * 300_000),
)


@every
@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: str(one.status or "hang up"))
async def test_no_secret_stands_in_an_error_a_log_a_receipt_or_a_repr(
    name: str, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in what led to the error either: a traceback in the log would show it."""
    caplog.set_level(logging.DEBUG)
    secrets = MEDIA[name].secrets
    echoed = Fault(
        fault.status,
        fault.body.replace("{secrets}", f'{{"message": "{" ".join(secrets)}"}}'),
        fault.headers,
    )
    async with house(name) as at:
        at.product.faults = [echoed]
        with pytest.raises((TryLater, BadInput, GaveUp)) as raised:
            await at.send()
        error = raised.value
        assert (error.__cause__, error.__context__) == (None, None)
        assert len(str(error)) < 800
        seen = [str(error), repr(error), "".join(traceback.format_exception(error))]
        seen += [repr(at.medium), str(vars(at.medium).get("_params", "")), caplog.text]
    assert [secret for secret in secrets if any(secret in one for one in seen)] == []


@every
async def test_addresses_that_cannot_be_reached_stand_in_no_error(name: str) -> None:
    async with house(name, url="http://127.0.0.1:1") as at:
        with pytest.raises(TryLater) as raised:
            await at.send()
    assert [secret for secret in MEDIA[name].secrets if secret in str(raised.value)] == []


@every
async def test_media_do_not_share_their_circuit_breaker(name: str) -> None:
    other = "ntfy" if name != "ntfy" else "discord"
    async with house(name) as dead, house(other) as alive:
        dead.product.faults = [Fault(500)] * FAILURES
        for _ in range(FAILURES):
            with pytest.raises(TryLater):
                await dead.send()
        await alive.send()
    assert len(alive.product.kept) == 1


@every
async def test_every_purpose_can_be_sent(name: str) -> None:
    purposes = (
        "page",
        "bundle",
        "summon",
        "reminder",
        "recovery",
        "acknowledged",
        "alarm",
        "test",
        "code",
        "handover",
        "swap",
    )
    async with house(name) as at:
        for purpose in purposes:
            receipt = await at.send(
                PAGE.model_copy(
                    update={"purpose": purpose, "key": f"k:{purpose}", "thread": "" if purpose == "test" else "t"}
                )
            )
            assert receipt.answer


@every
async def test_a_receipt_shows_no_secret(name: str) -> None:
    async with house(name) as at:
        receipt = await at.send()
        shown = repr(receipt)
    assert [secret for secret in MEDIA[name].secrets if secret in shown] == []
    assert len(receipt.provider_id) <= 255


@every
@pytest.mark.parametrize(
    "address", ["nobody in particular", "https://evil.example/", "../../admin", "a" * 10_000, "x\r\nInjected: 1"]
)
async def test_an_address_that_is_none_reaches_nobody(name: str, address: str) -> None:
    """A webhook of one's own is given the address as it is, inside the body: it decides."""
    async with house(name) as at:
        if name == "webhook":
            await at.send(address=address)
            assert at.product.asked[0].json["to"] == address
            assert "Injected" not in at.product.asked[0].headers
        else:
            with pytest.raises(BadInput):
                await at.send(address=address)
            assert at.product.asked == []
