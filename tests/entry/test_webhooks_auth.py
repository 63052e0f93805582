"""Who may send, by the objects that app makes of the configuration."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.entry.auth import Bearer, Nobody, Signed
from bot.entry.problems import Refused
from tests.entry.webhook_fakes import BEARER, NOW, SECRET, signature


def test_a_signature_may_come_in_other_headers_and_within_its_own_tolerance() -> None:
    auth = Signed((SECRET,), timedelta(seconds=10), "X-Sig", "X-Time")
    signed = signature(b"{}")
    headers = {"X-Sig": signed["X-Tocsin-Signature"], "X-Time": signed["X-Tocsin-Timestamp"]}
    assert auth.check(headers, b"{}", NOW + timedelta(seconds=10))
    with pytest.raises(Refused, match="11 s away"):
        auth.admit(headers, NOW + timedelta(seconds=11))


def test_without_a_setting_nobody_gets_in_and_the_setting_is_named() -> None:
    with pytest.raises(Refused) as refused:
        Nobody("sources.am.bearer").admit(BEARER, NOW)
    assert refused.value.hint == "set `sources.am.bearer` in tocsin.yaml"


def test_an_empty_token_or_secret_is_refused_when_the_program_starts() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        Bearer(["good", ""])
    with pytest.raises(ValueError, match="must not be empty"):
        Bearer([])
    with pytest.raises(ValueError, match="must not be empty"):
        Signed(("",))
