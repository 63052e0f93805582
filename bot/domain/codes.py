"""Codes that prove that an address is somebody's: six digits, kept only as a salted hash. Pure; used by flow/contacts."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta

GOOD_FOR = timedelta(minutes=10)
MOST_WRONG = 5
DIGITS = 6


def hashed(code: str, salt: str) -> str:
    """`salt$hash`, by scrypt (RFC 7914): a million codes are few, so each guess at a stolen hash has to cost something."""
    made = hashlib.scrypt(code.encode(), salt=salt.encode(), n=2**12, r=8, p=1, dklen=24)
    return f"{salt}${made.hex()}"


def right(code: str, kept: str) -> bool:
    """Whether it is the code behind a hash."""
    salt, dollar, _ = kept.partition("$")
    return bool(dollar) and hmac.compare_digest(hashed(code, salt).encode(), kept.encode())


def written(text: str) -> str:
    """The digits of `123 456` or `123-456`; empty when these are not six."""
    digits = "".join(char for char in text if char not in " -`*\u00a0")
    return digits if len(digits) == DIGITS and digits.isascii() and digits.isdigit() else ""


def spoken(code: str) -> str:
    """For a voice: one digit after the other, twice."""
    apart = ", ".join(code)
    return f"Your code for Tocsin is: {apart}. Again: {apart}."
