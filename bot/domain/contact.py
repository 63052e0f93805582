"""How somebody is reached: contact methods, the order in which they are used, and what is left when one fails. Used by paging; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.domain.naming import english_list

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


def usable(
    methods: tuple[Method, ...], allowed: Collection[str], media: Mapping[str, str]
) -> tuple[tuple[Method, ...], str]:
    """The methods that can be used now, and when there is none why not. As `plan` says it; Slack, when nothing that is allowed is left."""
    if not methods:
        return (), "has no contact method"
    verified = tuple(method for method in methods if method.verified and method.address)
    if not verified:
        return (), "has no verified contact method"
    there = tuple(method for method in verified if method.medium in media)
    if not there:
        names = english_list(dict.fromkeys(method.medium for method in verified))
        return (), f"can be reached by {names} only, which is not set up"
    fitting = tuple(method for method in there if fits(method.medium, allowed, media))
    fitting = fitting or tuple(method for method in there if method.medium == SLACK)
    if not fitting:
        names = english_list(dict.fromkeys(method.medium for method in there))
        return (), f"can be reached by {names} only, which this severity does not use"
    return fitting, ""


def fits(medium: str, allowed: Collection[str], media: Mapping[str, str]) -> bool:
    """Whether a medium is among what may be used, by its name or its kind (nothing said: all may)."""
    return not allowed or medium in allowed or media.get(medium, medium) in allowed


def plan(
    methods: tuple[Method, ...],
    rules: tuple[Notify, ...],
    allowed: Collection[str],
    media: Mapping[str, str],
) -> Plan:
    """How a person is paged: by their own `rules`, or without any by all methods in the usual order (`DEFAULT_AFTER` by kind, else at once).

    `allowed`: the media or kinds that the severity may use (empty: all). `media`: name -> kind of those set up. What is not verified, not set up or
    not allowed is left out; the rest moves forward so that the first goes out at once. When the rules leave nothing, all methods are used. Slack
    is used when nothing that is allowed is left. Each method is used once, at its earliest time; those of the same time keep their order.
    """
    found, nobody = usable(methods, allowed, media)
    if not found:
        return Plan(nobody=nobody)
    by_key = {method.key: method for method in reversed(found)}
    steps = [Step(method=by_key[one.method], after=one.after) for one in rules if one.method in by_key]
    if not steps:
        usual = (Step(method=one, after=DEFAULT_AFTER.get(media[one.medium], timedelta(0))) for one in found)
        steps = [step for step in usual if by_key[step.method.key] is step.method]
    steps.sort(key=lambda step: step.after)
    first = steps[0].after
    once = {step.method.key: step for step in reversed(steps)}
    return Plan(
        steps=tuple(
            Step(method=step.method, after=step.after - first) for step in steps if once[step.method.key] is step
        )
    )


def fallback(methods: tuple[Method, ...], used: Collection[str], media: Mapping[str, str]) -> Method | None:
    """The method that is tried when others failed: the first usable one whose key is not in `used`; also what the severity would not use, since a
    page that is too loud is better than one that is lost. None: nothing is left."""
    found, _ = usable(methods, (), media)
    return next((method for method in found if method.key not in used), None)
