"""The table of what counts as a secret, one named pattern each. Used by redaction.py; `extra` patterns from policy.yaml come after these.

`hints`: one of them must be in the text (in lower case) before a pattern is tried; `a:hint` is only looked for when the character `a` is there, which
most text lacks. Patterns look no further than a bounded number of characters, so the work is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MARK = "[redacted: {}]"

Replace = Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of secret. `replace` makes the new text of a match; without it the group `secret`, or all of the match, becomes the mark.

    `hints` are (gate, hint) pairs; an empty gate is always open.
    """

    kind: str
    hints: tuple[tuple[str, str], ...]
    regex: re.Pattern[str]
    replace: Replace | None = None

    def apply(self, text: str) -> str:
        return self.regex.sub(self.replace or self._marked, text)

    def _marked(self, found: re.Match[str]) -> str:
        mark = MARK.format(self.kind)
        if "secret" not in self.regex.groupindex:
            return mark
        start, end = found.start("secret") - found.start(), found.end("secret") - found.start()
        return found[0][:start] + mark + found[0][end:]


def pattern(kind: str, hints: str, regex: str, flags: int = 0, replace: Replace | None = None) -> Pattern:
    pairs = tuple((gate, hint) for gate, _, hint in (one.rpartition("|") for one in hints.split()))
    return Pattern(kind, pairs, re.compile(regex, flags), replace)


# ------------------------------------------------------------------------------------------------ name = value

# The last word of a name says that its value is secret: `DB_PASSWORD`, `x-api-key`, `clientSecret`; not `token_count`, `secretName`, `tokens`.
WORDS = (
    r"(?:pass(?:word|wd|phrase|code)|(?<![A-Za-z])pass|(?<![A-Za-z])(?:pg|db)?pass|(?<![A-Za-z])pwd|passwd|secret|token|credentials?"
    r"|(?:api|access|secret|account|private|signing|encryption|shared|master|auth|storage|license)[_. -]?key(?:[_.-]?id)?)[0-9]{0,3}"
)
_INSIDE = r"[,;&)}\]\"'\\](?=[\w!@#$%^*+-])(?![\w.-]{1,60}[\"']?[=:])"  # a character that could end a value, but here does not
ASSIGNMENT = (
    r"(?P<name>" + WORDS + r")(?P<close>\\{0,3}[\"']?)(?P<sep>[ \t]{0,5}(?:=>|:=|[=:])[ \t]{0,5})"
    r"(?P<value>\\{0,3}\"(?:[^\"\\\n]|\\[^\"\n]){1,4000}\\{0,3}\"?|\\{0,3}'[^'\n]{1,4000}'?"
    r"|[^\s\"',;&)}\]\\](?:[^\s\"',;&)}\]\\]|" + _INSIDE + r"){0,4000})"
)
# What stands where a value would, but is none: marks, placeholders, references, and words that say what happened to it.
NO_VALUE = re.compile(
    r"\[redacted|\*{3,}|[x.]{3,}\Z|<[\w .-]{0,40}>?\Z|\$\{|\$\(|\$[A-Za-z_]+\Z|\{\{|%\(|%[sdv]\b|env:|file:/|vault:"
    r"|(?:null|none|nil|true|false|yes|no|undefined|empty|unset|redacted|hidden|masked|changed|rotated|invalid|expired|missing|required|denied"
    r"|failed|rejected|revoked|wrong|incorrect|unknown|ok|error|not)[.!?]?\Z",
    re.I,
)
_PLAIN_WORD = re.compile(r"[a-z]{1,30}[.!?]?", re.I)
_MORE_WORDS = re.compile(r"[ \t]{1,5}[A-Za-z(\"']")


def _assignment(found: re.Match[str]) -> str:
    """`password=hunter2` to `password=[redacted: password]`, when what stands there is a value."""
    value, name = found["value"], found["name"].lower()
    bare = value.strip("\\\"' ")
    if not bare or NO_VALUE.match(bare) or _is_prose(found, value) or _is_other(name, bare):
        return found[0]
    quote = value[: len(value) - len(value.lstrip("\\\"'"))]
    ending = quote if quote and value.endswith(quote) else ""
    return f"{found['name']}{found['close']}{found['sep']}{quote}{MARK.format(kind_of(name))}{ending}"


def _is_prose(found: re.Match[str], value: str) -> bool:
    """Whether it reads on as a sentence: `invalid token: expired at noon`. A value is quoted, follows `=`, or stands alone.

    Not with passwords: unlike tokens they are often plain words.
    """
    if value[0] in "\"'\\" or "=" in found["sep"] or found["close"] or kind_of(found["name"].lower()) == "password":
        return False
    return bool(_PLAIN_WORD.fullmatch(value)) and bool(_MORE_WORDS.match(found.string, found.end()))


def _is_other(name: str, value: str) -> bool:
    """Two names that also mean something harmless: the working directory, and a count of tests that pass."""
    return (name == "pwd" and value.startswith("/")) or (name == "pass" and value.isdigit() and len(value) < 6)


def kind_of(name: str) -> str:
    """What to call the value of a name."""
    kinds = (("token", "token"), ("key", "key"), ("secret", "secret"), ("credential", "secret"))
    return next((kind for word, kind in kinds if word in name), "password")


_SCHEME = re.compile(r"(?:Basic|Bearer|Digest|Token|Negotiate|NTLM|ApiKey|Key|AWS4-HMAC-SHA256|SharedKey)\b", re.I)


def _authorization(found: re.Match[str]) -> str:
    """The whole value of the header, unless it reads like a sentence (`authorization: access denied`)."""
    value = found["secret"]
    first = value.split(maxsplit=1)[0]
    reads_on = len(value.split()) > 1 and not _SCHEME.match(value)
    if NO_VALUE.match(value) or (_PLAIN_WORD.fullmatch(first) and reads_on) or value.lower().startswith("rbac"):
        return found[0]
    return found[0][: found.start("secret") - found.start()] + MARK.format("credentials")


# ------------------------------------------------------------------------------------------------ the table

_SECRET_WORDS = ("pass", "pwd", "secret", "token", "key", "credential")

PATTERNS: tuple[Pattern, ...] = (
    pattern(
        "private key",
        "-|private",
        r"-----BEGIN (?P<type>[A-Z0-9 ]{0,40})PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?!-----END )[\s\S]){0,20000}(?:-----END (?P=type)PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    pattern(
        "credentials",
        ":|authorization =|authorization",
        r"(?<![A-Za-z])(?:proxy-)?authorization\\{0,3}[\"']?[ \t]{0,5}[:=][ \t]{0,5}\\{0,3}[\"']?"
        r"(?P<secret>(?!\[redacted)[^\s\"'\\][^\n\r\"'\\]{0,8000})",
        re.I,
        _authorization,
    ),
    pattern(
        "cookie",
        ":|cookie",
        r"(?<![A-Za-z])(?:set-)?cookie\\{0,3}[\"']?[ \t]{0,5}:[ \t]{0,5}\\{0,3}[\"']?"
        r"(?P<secret>(?!\[redacted)[^\s\"'\\=]{1,200}=[^\n\r\"'\\]{1,8000})",
        re.I,
    ),
    pattern(
        "token",
        "bearer basic",
        r"\b(?:Bearer|Basic)[ \t]{1,5}(?P<secret>(?=[\w.~+/-]{0,4000}[\d=._+/-])[\w.~+/-]{12,4000}={0,3})",
        re.I,
    ),
    pattern("JWT", "eyj", r"\beyJ[\w-]{8,8000}\.[\w-]{4,16000}(?:\.[\w-]{0,4000})?"),
    pattern("AWS key", "akia asia aroa agpa", r"\b(?:AKIA|ASIA|AROA|AGPA)[A-Z2-7]{16}\b"),
    pattern("Google key", "aiza .|ya29. -|gocspx-", r"\bAIza[\w-]{35}|\bya29\.[\w-]{20,4000}|\bGOCSPX-[\w-]{20,60}"),
    pattern("Slack token", "-|xox -|xapp-", r"\b(?:xox[abcdeoprs]|xapp)(?:\.[a-z]{1,5})?-[\w-]{8,500}"),
    pattern("Slack webhook", ".|hooks.slack", r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[\w/-]{8,500})"),
    pattern("webhook", ".|/webhooks/", r"(?:discord(?:app)?\.com|webhook\.office\.com)/\S{0,80}webhooks?/(?P<secret>[\w/-]{8,500})"),
    pattern("GitHub token", "_|ghp_ _|gho_ _|ghu_ _|ghs_ _|ghr_ _|github_pat_", r"\b(?:gh[pousr]_\w{20,500}|github_pat_\w{20,500})"),
    pattern("GitLab token", "-|glpat- -|gldt- -|glrt- -|glptt-", r"\bgl(?:pat|dt|rt|ptt)-[\w.-]{15,300}"),
    pattern("Stripe key", "_|k_live_ _|k_test_ _|whsec_", r"\b(?:[sr]k_(?:live|test)_\w{10,300}|whsec_[\w+/=]{16,300})"),
    pattern("key", "-|sk-", r"\bsk-(?:ant-|proj-|svcacct-)?(?=[\w-]{0,60}\d)[\w-]{20,300}"),
    pattern("key", ".|sg.", r"\bSG\.[\w-]{16,40}\.[\w-]{16,80}"),
    pattern(
        "token",
        "_|npm_ -|pypi- .|hvs. .|hvb. _|dop_v1_ _|shpat_ _|glsa_ _|lin_api_ _|sntrys_ -|pul-",
        r"\b(?:npm_[A-Za-z0-9]{36}|pypi-[\w-]{50,500}|hv[sb]\.[\w-]{20,300}|dop_v1_[a-f0-9]{64}|shpat_[a-fA-F0-9]{32}"
        r"|glsa_\w{30,60}|lin_api_\w{30,60}|pul-[a-f0-9]{40}|sntrys_[\w=+/.-]{30,500})",
    ),
    pattern("token", ":|bot", r"\bbot(?P<secret>\d{8,10}:[\w-]{35})(?![\w-])"),
    pattern(
        "password",
        "@|://",
        r"(?<=://)(?P<user>[^\s:/@?#\"'<>]{0,200}):(?P<secret>(?!\[redacted)[^\s/?#\"'<>]{1,500})(?=@[\w.\[\]-])",
    ),
    pattern("token", "@|://", r"(?<=://)(?P<secret>(?=[\w.~-]{0,300}\d)[\w.~-]{20,300})(?=@[\w-])"),
    pattern("password", "@|@tcp( @|@unix(", r"(?<![\w./])[\w.-]{1,100}:(?P<secret>(?!\[redacted)[^\s:@]{1,200})(?=@(?:tcp|unix)\()"),
    pattern(
        "signature",
        "=|sig= =|signature=",
        r"(?<=[?&;])(?:sig|signature|x-amz-signature|x-goog-signature)=(?P<secret>(?!\[redacted)[^\s&\"'<>]{8,2000})",
        re.I,
    ),
    pattern(
        "password",
        " ".join(f"--|{word}" for word in _SECRET_WORDS),
        r"(?<![\w-])--[\w-]{0,40}?(?:password|passwd|passphrase|secret|token|api-?key|secret-key|access-key)[ \t]{1,3}"
        r"(?P<secret>(?![-<$\[{])[^\s\"']{3,1000}|\"[^\"\n]{1,1000}\"|'[^'\n]{1,1000}')",
        re.I,
    ),
    pattern("password", "'|identified", r"\bidentified[ \t]{1,3}by[ \t]{1,3}(?:password[ \t]{1,3})?'(?P<secret>(?!\[redacted)[^'\n]{1,500})'", re.I),
    pattern(
        "password",
        " ".join(f"{gate}|{word}" for gate in "=:" for word in _SECRET_WORDS),
        ASSIGNMENT,
        re.I,
        _assignment,
    ),
)  # fmt: skip


def _luhn(found: re.Match[str]) -> str:
    """The text itself unless its digits are a card number (ISO/IEC 7812-1, annex B)."""
    digits = [int(digit) for digit in found[0] if digit.isdigit()]
    doubled = [digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2]]
    valid = (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1
    return MARK.format("card") if valid else found[0]


OPTIONAL: Mapping[str, Pattern] = {
    "email": pattern("e-mail", "@", r"(?<![\w.+/-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"),
    "card": pattern("card", "3 4 5 6", r"(?<![\w.-])[3-6]\d{3}(?:[ -]?\d){9,15}(?![\w-])", 0, _luhn),
}
