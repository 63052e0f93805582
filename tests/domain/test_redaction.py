"""What counts as a secret, what does not, and that neither odd nor huge input matters."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.redaction import LONGEST, Redactor
from bot.domain.redaction_patterns import OPTIONAL, PATTERNS, Pattern

REDACT = Redactor()
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjaGVja291dCIsInNjb3BlIjoicGF5In0.c2lnbmF0dXJlLW9mLXRoZS1kZW1v"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7bq\nq9+/Zk==\n-----END RSA PRIVATE KEY-----"
# Built from parts, so that no scanner takes the tests for a leak.
GITHUB = "ghp" + "_16C7e42F292c6912E7710c838347Ae178B4a"
SLACK = "xox" + "b-1234567890-0987654321-AbCdEfGhIjKlMnOpQrSt"
STRIPE = "sk" + "_live_4eC39HqLyjWDarjtT1zdp7dc"
GOOGLE = "AIza" + "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"

SECRETS = {
    # passwords in addresses
    "postgres://checkout:hunter2@db:5432/shop?sslmode=disable": "postgres://checkout:[redacted: password]@db:5432/shop?sslmode=disable",
    "redis://:s3cr3t@cache:6379/0": "redis://:[redacted: password]@cache:6379/0",
    "amqp://u:p@ss@rabbit/vhost": "amqp://u:[redacted: password]@rabbit/vhost",
    "see https://ada:pw@example.com/x": "see https://ada:[redacted: password]@example.com/x",
    "http://b:c@[::1]/y": "http://b:[redacted: password]@[::1]/y",
    "app:pa55@tcp(db:3306)/shop": "app:[redacted: password]@tcp(db:3306)/shop",
    "git clone https://0123456789abcdef0123456789abcdef@github.com/a/b": "git clone https://[redacted: token]@github.com/a/b",
    # headers
    "> Authorization: Basic dXNlcjpwYXNz": "> Authorization: [redacted: credentials]",
    "Authorization: Bearer abc": "Authorization: [redacted: credentials]",
    "authorization=Token 9944b09199c62bcf": "authorization=[redacted: credentials]",
    "Proxy-Authorization: Digest username=x, response=abc": "Proxy-Authorization: [redacted: credentials]",
    '{"Authorization": "Bearer abc.def", "a": 1}': '{"Authorization": "[redacted: credentials]", "a": 1}',
    r'{\"authorization\":\"Bearer abc.def\",\"a\":1}': r'{\"authorization\":\"[redacted: credentials]\",\"a\":1}',
    'curl -H "Authorization: Bearer abc" https://x': 'curl -H "Authorization: [redacted: credentials]" https://x',
    "X-Api-Key: 0123456789": "X-Api-Key: [redacted: key]",
    "Cookie: session=abc; theme=dark": "Cookie: [redacted: cookie]",
    "set-cookie: sid=1; HttpOnly": "set-cookie: [redacted: cookie]",
    "sent Bearer a1b2c3d4e5f6g7h8 to it": "sent Bearer [redacted: token] to it",
    # tokens that are known by their looks
    f"jwt {JWT} end": "jwt [redacted: JWT] end",
    "AKIAIOSFODNN7EXAMPLE": "[redacted: AWS key]",
    "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE": "AWS_ACCESS_KEY_ID=[redacted: AWS key]",
    "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "AWS_SECRET_ACCESS_KEY=[redacted: key]",
    f"key {GOOGLE}": "key [redacted: Google key]",
    f"slack {SLACK}": "slack [redacted: Slack token]",
    "https://hooks.slack.com/services/T000/B000/XXXX0000": "https://hooks.slack.com/services/[redacted: Slack webhook]",
    "https://discord.com/api/webhooks/123456/abc-DEF": "https://discord.com/api/webhooks/[redacted: webhook]",
    f"{GITHUB} pushed": "[redacted: GitHub token] pushed",
    "glpat" + "-ABCDEFGHIJKLMNOPQRST": "[redacted: GitLab token]",
    STRIPE: "[redacted: Stripe key]",
    "whsec" + "_0123456789abcdef0123": "[redacted: Stripe key]",
    "sk" + "-proj-abc123def456ghi789jkl012": "[redacted: key]",
    "hvs" + ".CAESIJ0123456789abcdefghij": "[redacted: token]",
    "https://api.telegram.org/bot" + "123456789:ABCdefGHIjklMNOpqrSTUvwxYZ012345678/x": "https://api.telegram.org/bot[redacted: token]/x",
    PEM: "[redacted: private key]",
    f"before\n{PEM}\nafter": "before\n[redacted: private key]\nafter",
    "-----BEGIN PRIVATE KEY-----\nMIIcut": "[redacted: private key]",
    r"key: -----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\n": r"key: [redacted: private key]\n",
    # name = value
    "password=hunter2": "password=[redacted: password]",
    "PGPASSWORD=hunter2 psql": "PGPASSWORD=[redacted: password] psql",
    "DB_PASSWORD: hunter2": "DB_PASSWORD: [redacted: password]",
    "password : hunter2": "password : [redacted: password]",
    "password := hunter2": "password := [redacted: password]",
    "'password' => 'hunter2'": "'password' => '[redacted: password]'",
    '"password": "hunter2"': '"password": "[redacted: password]"',
    '{"user":"a","db_password":"hun ter2","x":1}': '{"user":"a","db_password":"[redacted: password]","x":1}',
    r'"{\"password\":\"hunter2\",\"x\":1}"': r'"{\"password\":\"[redacted: password]\",\"x\":1}"',
    'open_pool(url, password="s3cr3t-Passw0rd")': 'open_pool(url, password="[redacted: password]")',
    "passwd=abc pwd=def": "passwd=[redacted: password] pwd=[redacted: password]",
    "pass=ghi passphrase=jkl": "pass=[redacted: password] passphrase=[redacted: password]",
    "password=a,b;c&d": "password=[redacted: password]",
    "password=hunter2, user=ada": "password=[redacted: password], user=ada",
    "Server=db;User Id=sa;Password=Hun;Ter2;Encrypt=true": "Server=db;User Id=sa;Password=[redacted: password];Encrypt=true",
    "AccountName=shop;AccountKey=Zm9vYmFy/+==;EndpointSuffix=core": "AccountName=shop;AccountKey=[redacted: key];EndpointSuffix=core",
    "GET /cb?access_token=abc123&state=x": "GET /cb?access_token=[redacted: token]&state=x",
    "https://blob/x?sv=1&sig=abcdefgh%2F123&se=2": "https://blob/x?sv=1&sig=[redacted: signature]&se=2",
    "https://s3/x?X-Amz-Signature=deadbeefcafe": "https://s3/x?X-Amz-Signature=[redacted: signature]",
    "clientSecret: abc123": "clientSecret: [redacted: secret]",
    "client_secret=abc": "client_secret=[redacted: secret]",
    "secret: s3cr3t": "secret: [redacted: secret]",
    "api_key=abc apiKey=def api-key: ghi": "api_key=[redacted: key] apiKey=[redacted: key] api-key: [redacted: key]",
    "token: abc123": "token: [redacted: token]",
    "csrftoken=abc": "csrftoken=[redacted: token]",
    "password1=abc password2=def": "password1=[redacted: password] password2=[redacted: password]",
    "user: ada password: hunter attempt: 3": "user: ada password: [redacted: password] attempt: 3",
    'password: "correct horse"': 'password: "[redacted: password]"',
    "password: Tr0ub4dor is wrong": "password: [redacted: password] is wrong",
    "psql --password hunter2 --host db": "psql --password [redacted: password] --host db",
    "run --api-key=abc --db-password 'x y'": "run --api-key=[redacted: key] --db-password [redacted: password]",
    "CREATE USER a IDENTIFIED BY 'hunter2'": "CREATE USER a IDENTIFIED BY '[redacted: password]'",
    "line one\npassword: a1\nline three": "line one\npassword: [redacted: password]\nline three",
}  # fmt: skip

HARMLESS = [
    "token bucket full",
    "password reset page is slow",
    "the secret of success: keep going",
    "invalid token: expired at noon",
    "Secret: could not be found",
    "authorization: access denied for user ada",
    "RBAC: authorization: rbac: access denied",
    'MountVolume.SetUp failed for volume "tls" : secret "checkout-tls" not found',
    "secretName: checkout-tls",
    "secretKeyRef: {name: db, key: password}",
    "imagePullSecrets: [registry]",
    "automountServiceAccountToken: false",
    "max_tokens: 4096, tokens=12, token_count=3, password_length=12",
    "password: null, token: none, secret: ''",
    "password=${DB_PASSWORD} token={{ token }} secret=$SECRET api_key=<your key>",
    "password=env:DB_PASSWORD token=file:/run/secrets/token",
    "password=***** token=xxxxxxxx",
    "token: expired",
    "compass: north; bypass=1; encompass: all",
    "tests pass: 12 fail: 3",
    "PWD=/root OLDPWD=/tmp",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "id 123e4567-e89b-12d3-a456-426614174000",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "image registry.example.com:5000/shop/checkout:1.4.2",
    "http://payments.shop.svc:8080/v2/sessions?user=ada@example.com",
    "git@github.com:shop/checkout.git",
    "mail ada@example.com",
    "Bearer of bad news",
    "Basic understanding required",
    "http://host/path/with@sign",
    "the keyboard: broken; monkey=banana; turkey: dinner",
    "key=value primary_key=id cache_key=abc",
    "cookies: 3; the cookie: it crumbled",
    "kubectl get secret db-credentials -n shop",
    'sum(rate(http_requests_total{job="api",code=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) > 0.05',
    "skipping task-1234567890-abcdefghij risk-assessment-2024-final-version",
    "robot:1 bot12:34",
    "4111 1111 1111 1111",
]


@pytest.mark.parametrize(("text", "expected"), SECRETS.items(), ids=lambda text: text[:40])
def test_a_secret_is_replaced_by_a_mark_that_names_its_kind(text: str, expected: str) -> None:
    assert REDACT(text) == expected


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert REDACT(text) == text


@pytest.mark.parametrize("text", [*SECRETS, *HARMLESS], ids=lambda text: text[:40])
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert REDACT(REDACT(text)) == REDACT(text)


@pytest.mark.parametrize("text", [text for text in SECRETS if not text.endswith("cut")], ids=lambda text: text[:40])
def test_a_secret_is_found_in_the_middle_of_other_text(text: str) -> None:
    inside = f"2026-11-21 03:12:05 ERROR checkout said\n{text}\nand then stopped"
    assert REDACT(inside) == f"2026-11-21 03:12:05 ERROR checkout said\n{SECRETS[text]}\nand then stopped"


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.kind)
def test_whatever_a_pattern_matches_has_one_of_its_hints(pattern: Pattern) -> None:
    for text in SECRETS:
        if pattern.regex.search(text):
            low = text.lower()
            assert any(gate in low and hint in low for gate, hint in pattern.hints)


def test_the_practice_logs_hold_no_secret_afterwards() -> None:
    log = (
        "config: DATABASE_URL=postgres://checkout:hunter2@db:5432/shop?sslmode=disable\n"
        "config: AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
        f"payments: > Authorization: Bearer {JWT}\n"
        'sessions = payments.open_pool(settings.PAYMENTS_URL, password="s3cr3t-Passw0rd")'
    )
    clean = REDACT(log)
    for secret in ("hunter2", "AKIA", "wJal", "eyJ", "s3cr3t"):
        assert secret not in clean
    assert clean.count("\n") == log.count("\n")


# ------------------------------------------------------------------------------------------------ labels


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("namespace", "shop", "shop"),
        ("api_token", "abc", "[redacted: token]"),
        ("password", "hunter2", "[redacted: password]"),
        ("client_secret", "abc-def", "[redacted: secret]"),
        ("secret", "checkout-tls", "checkout-tls"),
        ("secret", "S3cr3t!", "[redacted: secret]"),
        ("token", "", ""),
        ("token", "none", "none"),
        ("description", "password=hunter2", "password=[redacted: password]"),
        ("alertname", "PasswordResetSlow", "PasswordResetSlow"),
        ("tokens", "12", "12"),
    ],
)
def test_a_label_goes_by_its_name_as_well(name: str, value: str, expected: str) -> None:
    assert REDACT.labels({"job": "x", name: value}) == {"job": "x", name: expected}


# ------------------------------------------------------------------------------------------------ options


def test_e_mail_addresses_and_card_numbers_go_when_asked_to() -> None:
    redact = Redactor(optional=("email", "card"))
    text = "ada@example.com paid with 4111 1111 1111 1111, order 4111 1111 1111 1112"
    assert redact(text) == "[redacted: e-mail] paid with [redacted: card], order 4111 1111 1111 1112"
    assert set(OPTIONAL) == {"email", "card"}


def test_extra_patterns_name_their_kind_and_may_mark_a_part() -> None:
    redact = Redactor({"customer": r"cust-\d+", "order": r"order (?P<secret>\d+)"})
    assert redact("cust-12 has order 77") == "[redacted: customer] has order [redacted: order]"
    assert redact.labels({"who": "cust-12"}) == {"who": "[redacted: customer]"}


def test_an_extra_pattern_that_is_none_is_an_error() -> None:
    with pytest.raises(re.error):
        Redactor({"bad": "("})


# ------------------------------------------------------------------------------------------------ any input


@given(st.text(max_size=300))
def test_any_text_can_be_redacted_and_redacting_is_final(text: str) -> None:
    once = REDACT(text)
    assert REDACT(once) == once


@given(
    st.text(string.ascii_letters + string.digits + "!#$%^*+-._~/", min_size=8, max_size=40).filter(
        lambda s: any(c.isdigit() for c in s)
    )
)
def test_no_password_survives_in_the_usual_spellings(password: str) -> None:
    if password[0] in "$%*[.-" or "xxx" in password.lower():
        return
    for text in (
        f"password={password}",
        f'"password": "{password}"',
        f"PASSWORD: {password}",
        f"password='{password}' x",
    ):
        assert password not in REDACT(text)


PIECES = (
    "a", "password", "password=", "://", "://a:b", "Bearer ", "eyJ", "eyJaaaaaaaa.", "-----BEGIN PRIVATE KEY-----", "--password ", "pass ",
    "token: a", "sk-", "x@", "'", '"', '\\"token\\":\\"', "cookie: a", "authorization: ", "[redacted", 'token="a', "secret=,x", "secret=a,x",
    "api_key ", "identified by ", "?sig=", "4111 ", "@tcp(",
)  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.timeout(20)
def test_no_long_input_is_expensive(piece: str) -> None:
    redact = Redactor(optional=("email", "card"))
    for text in (piece * 100_000, piece + "a" * 300_000, "token=" + piece * 50_000, (piece * 20 + "\n") * 5_000):
        redact(text[:500_000])


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    text = REDACT("x" * (LONGEST + 5) + " password=hunter2")
    assert text.endswith("… [22 more characters left out]")
    assert "hunter2" not in text
