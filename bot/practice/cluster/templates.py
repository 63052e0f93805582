"""What belongs to a pod template: its hash, and telling whether two are the same; pure."""

from __future__ import annotations

import json
import math
from typing import Any

from bot.practice.cluster.objects import SUFFIX
from bot.practice.cluster.resources import Obj, clone

HASH_LABEL = "pod-template-hash"


def template_hash(template: Obj, collisions: int = 0) -> str:
    """A short stable name for a template (FNV-1a, spelled with the letters the real controllers use)."""
    digest = 0x811C9DC5
    for byte in json.dumps([template, collisions], sort_keys=True).encode():
        digest = ((digest ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(SUFFIX[ord(c) % len(SUFFIX)] for c in str(digest))


def without_hash(template: Obj) -> Obj:
    """The template as the Deployment has it (a ReplicaSet's carries its own hash as a label)."""
    bare: Obj = clone(template)
    (bare.get("metadata", {}).get("labels") or {}).pop(HASH_LABEL, None)
    return bare


def same_template(one: Obj, other: Obj) -> bool:
    return without_hash(one) == without_hash(other)


def share(value: Any, total: int, *, up: bool) -> int:
    """`maxSurge` (rounded up) or `maxUnavailable` (rounded down): a number, or a percentage of `total`."""
    if isinstance(value, int):
        return value
    part = float(str(value).rstrip("%")) * total / 100
    return math.ceil(part) if up else math.floor(part)
