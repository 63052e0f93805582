"""What comes out of a provider is fit to be shown; addresses are what they say. How answers are judged: tests/plugins/channels."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.clients.media_http import HIDDEN, LONGEST_QUOTE, BaseUrl, Screen, SecretUrl
from bot.domain.redaction import Redactor

TOKEN = "123456:ABC-def/ghi+jkl"


class Params(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    secret: SecretUrl = None  # type: ignore[assignment]
    base: BaseUrl = ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"no bot {TOKEN} here", f"no bot {HIDDEN} here"),
        ("no bot 123456%3AABC-def%2Fghi%2Bjkl here", f"no bot {HIDDEN} here"),
        (f"GET /bot{TOKEN}/sendMessage", f"GET /bot{HIDDEN}/sendMessage"),
        (f"{TOKEN}-longer", HIDDEN),
        ("password=hunter2hunter2", "password=[redacted: password]"),
        ("two\nlines\x1b[0m \u202eback", "two lines [0m back"),
        ("", ""),
    ],
)
def test_what_a_provider_says_is_shown_without_secrets_on_one_line(text: str, shown: str) -> None:
    assert Screen(Redactor(), [TOKEN, f"{TOKEN}-longer", "short", ""])(text) == shown


def test_it_is_bounded_and_no_secret_is_cut_in_two() -> None:
    screen = Screen(Redactor(), [TOKEN])
    said = screen("x" * (LONGEST_QUOTE - 5) + TOKEN + "y" * 1_000_000)
    assert len(said) <= LONGEST_QUOTE
    assert TOKEN[:6] not in said


@pytest.mark.parametrize(
    "url",
    [
        "x",
        "ftp://x.example",
        "https://",
        "https://me:pw@x.example",
        "https://x.example/a b",
        "https://x.example:0/",
        "http://[::1",
        "https://x/" + "a" * 3000,
    ],
)
def test_what_is_no_address_is_refused_without_being_shown(url: str) -> None:
    for name in ("secret", "base"):
        with pytest.raises(ValidationError, match="must be an http:// or https:// address") as raised:
            Params.model_validate({name: url})
        assert len(url) < 10 or url not in str(raised.value)


def test_addresses_are_taken_as_they_are() -> None:
    params = Params.model_validate(
        {"secret": "https://x.example/hooks/abc?sig=%2Fx", "base": "https://x.example:8443/api/"}
    )
    assert params.secret.get_secret_value() == "https://x.example/hooks/abc?sig=%2Fx"
    assert params.base == "https://x.example:8443/api"


def test_a_reference_that_cannot_be_followed_here_is_no_mistake() -> None:
    assert Params.model_validate({"secret": ""}).secret.get_secret_value() == ""
