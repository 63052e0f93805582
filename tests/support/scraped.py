"""Reading what /metrics says."""

from __future__ import annotations

import re


def value(text: str, name: str, **labels: str) -> float:
    """The value of a series in the text format, whatever the order of its labels; 0 when it is not there."""
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name and dict(re.findall(r'(\w+)="([^"]*)"', found[2] or "")) == labels:
            return float(found[3])
    return 0.0
