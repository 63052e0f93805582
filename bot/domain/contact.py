"""How somebody is reached: contact methods, the order in which they are used, and what is left when one fails. Used by paging; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

SLACK = "slack"
DEFAULT_AFTER: Mapping[str, timedelta] = {"sms": timedelta(minutes=3), "call": timedelta(minutes=5)}


class Method(BaseModel):
    """One way to reach one person. `medium`: the name of a medium that is set up (`channels` in tocsin.yaml; `slack` is always there).

    `address`: what that medium needs: a Slack user id, an e-mail address, a phone number like +4915112345678, a chat id. `origin`: who entered it.
    Only a verified one is used; what stands in oncall.yaml counts as verified.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    medium: str
    address: str
    origin: Literal["file", "self"] = "file"
    verified: bool = True


class Notify(BaseModel):
    """One of a person's own rules: this method (its key), so long after the paging of this level began."""

    model_config = ConfigDict(frozen=True)

    method: str
    after: timedelta = timedelta(0)


class Step(BaseModel):
    """A page that is to go out: by this method, so long after now."""

    model_config = ConfigDict(frozen=True)

    method: Method
    after: timedelta = timedelta(0)


class Plan(BaseModel):
    """By what, and when, somebody is paged: the first step at once. No steps: `nobody` says why (no method, none verified, none allowed)."""

    model_config = ConfigDict(frozen=True)

    steps: tuple[Step, ...] = ()
    nobody: str = ""


def plan(
    methods: tuple[Method, ...],
    rules: tuple[Notify, ...],
    allowed: Collection[str],
    media: Mapping[str, str],
) -> Plan:
    """How a person is paged: by their own `rules`, or without any by all methods in the usual order (`DEFAULT_AFTER` by kind, else at once).

    `allowed`: the media or kinds that the severity may use (empty: all). `media`: name -> kind of those set up. What is not verified, not set up or
    not allowed is left out; the rest moves forward so that the first goes out at once. When the rules leave nothing, all methods are used.
    """
    raise NotImplementedError


def fallback(methods: tuple[Method, ...], used: Collection[str], media: Mapping[str, str]) -> Method | None:
    """The method that is tried when others failed: the first usable one whose key is not in `used`; also what the severity would not use, since a
    page that is too loud is better than one that is lost. None: nothing is left."""
    raise NotImplementedError
