"""What texts of the configuration look like that have a form of their own, as a pattern for schemas and in words for whoever wrote another one."""

from __future__ import annotations

from collections.abc import Mapping

EMAIL = r"^([^@\s]+@[^@\s]+)?$"
MEMBER = r"^([UW][A-Z0-9]{2,20})?$"
USER_GROUP = r"^(S[A-Z0-9]{2,20})?$"

IN_WORDS: Mapping[str, str] = {
    EMAIL: "an e-mail address, like ada@shop.example",
    MEMBER: 'the member id of somebody in Slack, like U0ADA (there: their profile, the three dots, "Copy member ID")',
    USER_GROUP: "the id of a user group in Slack, like S0SHOP (its address in the browser ends with it)",
}
