"""The plain sections of tocsin.yaml as frozen models: what app builds the program from. Sources, context and routes have files of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from bot.config.problems import nearest
from bot.config.secrets import SecretRef, SecretUrl
from bot.config.units import SIZE_PATTERN, size

MIB = 1 << 20
LARGEST_BODY = 64 * MIB
SHORTEST_SECRET = 16
_PLAIN_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~%/-]*)?\Z")
DATABASES = ("sqlite", "postgresql")
LOG_LEVELS = Literal["debug", "info", "warning", "error"]

Size = Annotated[
    int,
    BeforeValidator(size),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": SIZE_PATTERN}]}),
]


class Part(BaseModel):
    """A part of the configuration: frozen, and a key that nothing reads is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def web_address(text: str) -> str:
    """An http(s) address as it is. Raises ValueError, without showing one that has a password."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a web address; write it like https://example.com")
    if parts.password or parts.username:
        raise ValueError("has a user or a password in it; secrets are given by reference, in a key of their own")
    return text


WebAddress = Annotated[str, BeforeValidator(lambda text: web_address(text) if isinstance(text, str) else text)]


def host_and_port(text: str) -> str:
    """`127.0.0.1:8080`, `:8080` or `[::1]:8080` as it is. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise ValueError(f"not host:port: {text!r}; write it like 127.0.0.1:8080, :8080 or [::1]:8080")
    return text


Listen = Annotated[str, AfterValidator(host_and_port)]


class Listening(Part):
    """Something that is served at an address of this machine."""

    listen: Listen

    @property
    def host(self) -> str:
        """Empty for all addresses."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])


class Smtp(Listening):
    """Where e-mail to sources of the type `email` comes in. Nothing is relayed, and nobody logs in: the address holds the source's token."""

    listen: Listen = Field(default="127.0.0.1:2525", description="host:port; :2525 listens on all addresses")
    hostname: str = Field(
        default="",
        max_length=200,
        pattern=r"^[A-Za-z0-9.-]*$",
        description="how it greets; the machine's own name when not set",
    )
    max_message_bytes: Size = Field(
        default=2 * MIB, ge=1024, le=LARGEST_BODY, description="the largest message that is taken"
    )
    tls_cert: Path | None = Field(
        default=None, description="a PEM file with the certificate and its chain, for STARTTLS"
    )
    tls_key: Path | None = Field(default=None, description="a PEM file with its key")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key belong together; set both or neither")
        return self


class Server(Listening):
    """Where webhooks, the API and the pages are served."""

    listen: Listen = Field(default="127.0.0.1:8080", description="host:port; :8080 listens on all addresses")
    public_url: WebAddress | None = Field(
        default=None, description="how others reach it, for links; http://<listen> when not set"
    )
    max_body_bytes: Size = Field(
        default=2 * MIB, ge=1024, le=LARGEST_BODY, description="the largest request that is read, like 2MiB"
    )
    queue: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="alerts that may wait for the database; more are told to come again",
    )
    shutdown_seconds: float = Field(
        default=20, ge=0, le=600, description="how long to finish what is going on after SIGTERM"
    )
    smtp: Smtp | None = Field(default=None, description="take e-mail as well; nothing listens for it when not set")
    secret: SecretRef | None = Field(
        default=None, description="what links to acknowledge by and addresses of calendars are signed with"
    )

    @field_validator("public_url")
    @classmethod
    def _plain(cls, url: str | None) -> str | None:
        """Paths are put behind it, and messages link only to addresses in which nothing can hide."""
        if url is not None and not _PLAIN_ADDRESS.match(url):
            raise ValueError(
                "links are made of it: write it like https://tocsin.example.com or https://example.com/tocsin, without ? and #, "
                "and names with other letters than a to z as xn--…"
            )
        return url

    @field_validator("secret")
    @classmethod
    def _long(cls, secret: SecretRef | None) -> SecretRef | None:
        if secret is not None and secret.resolved and len(secret.reveal()) < SHORTEST_SECRET:
            raise ValueError(
                f"what {secret} leads to is shorter than {SHORTEST_SECRET} characters; make one with `openssl rand -hex 32`"
            )
        return secret

    @property
    def url(self) -> str:
        """How others reach it, without a slash at the end."""
        return (self.public_url or f"http://{self.listen if self.host else '127.0.0.1' + self.listen}").rstrip("/")


class Database(Part):
    """Where the state is kept. SQLite: one process; PostgreSQL: any number of replicas."""

    url: SecretUrl = Field(
        default=SecretUrl("sqlite:///tocsin.db", "sqlite:///tocsin.db"),
        description="sqlite:///tocsin.db (relative to `state`) or a reference to postgresql://user:password@host/name",
    )

    @field_validator("url")
    @classmethod
    def _known_kind(cls, url: SecretUrl) -> SecretUrl:
        kind = url.reveal().partition(":")[0].partition("+")[0] if url.resolved else DATABASES[0]
        if kind not in DATABASES:
            raise ValueError(f"wanted an address that begins with sqlite:// or postgresql://{nearest(kind, DATABASES)}")
        return url

    def within(self, state: Path) -> Self:
        """With a relative SQLite path made absolute."""
        if not self.url.resolved:
            return self
        kind, slashes, name = self.url.reveal().partition(":///")
        if not kind.startswith("sqlite") or not slashes or not name or name.startswith((":memory:", "file:", "/")):
            return self
        absolute = f"{kind}:///{state / name}"
        return self.model_copy(update={"url": SecretUrl(self.url.reference, absolute)})


class AskedDatabase(Database):
    """A database that runbooks may ask, and never write to."""

    url: SecretUrl = Field(
        description="a reference to postgresql://user:password@host/name, or sqlite:////path (a relative path begins at `state`)"
    )


class Slack(Part):
    """The workspace. Socket Mode needs no public address; HTTP mode needs one and the signing secret."""

    mode: Literal["socket", "http"] = "socket"
    bot_token: SecretRef = Field(description="xoxb-…")
    app_token: SecretRef | None = Field(default=None, description="xapp-…, for Socket Mode")
    signing_secret: SecretRef | None = Field(default=None, description="for HTTP mode")
    api_url: WebAddress = "https://slack.com/api/"
    fallback_channel: str = Field(
        default="incidents", description="where alarms go, and messages of incidents without a channel"
    )
    pace: float = Field(
        default=1.0, gt=0, le=1000, description="how fast to call Slack: 1.0 is what Slack documents for each method"
    )

    @field_validator("api_url")
    @classmethod
    def _slash(cls, url: str) -> str:
        return url if url.endswith("/") else f"{url}/"

    @field_validator("fallback_channel")
    @classmethod
    def _channel(cls, name: str) -> str:
        name = name.removeprefix("#")
        if not name or any(character.isspace() for character in name):
            raise ValueError('wanted the name of a channel, like incidents or "#incidents"')
        return name

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mode == "socket" and self.app_token is None:
            raise ValueError(
                'Socket Mode needs "app_token" (xapp-…, from the app\'s Basic Information page); or set mode: http'
            )
        if self.mode == "http" and self.signing_secret is None:
            raise ValueError(
                'HTTP mode needs "signing_secret" (from the app\'s Basic Information page); or set mode: socket'
            )
        return self


class Kubernetes(Part):
    """The cluster that runbooks and context look at: exactly one of `kubeconfig`, `in_cluster` and `url`."""

    kubeconfig: Path | None = Field(default=None, description="path of a kubeconfig file")
    in_cluster: bool = Field(default=False, description="use the pod's service account")
    url: WebAddress | None = Field(default=None, description="address of the API server; with `token` and `ca`")
    token: SecretRef | None = Field(default=None, description="bearer token, for `url`")
    ca: Path | None = Field(default=None, description="file with the certificate authority, for `url`")
    namespaces: tuple[str, ...] = Field(
        default=(), description="the only namespaces that the bot looks into; all, when not given"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [bool(self.kubeconfig), self.in_cluster, bool(self.url)]
        if sum(ways) != 1:
            raise ValueError("set exactly one of kubeconfig, in_cluster: true and url (with token)")
        if not self.url and (self.token or self.ca):
            raise ValueError("token and ca belong to url")
        return self


class Prometheus(Part):
    """Where context and runbooks ask for numbers."""

    url: WebAddress
    bearer: SecretRef | None = None


class Postmortem(Part):
    """Where post-mortems are written, and by which template."""

    folder: Path = Field(default=Path("postmortems"), description="relative to `state`")
    template: Path | None = Field(
        default=None, description="a Jinja2 file of your own, relative to the configuration's folder"
    )


class Log(Part):
    level: LOG_LEVELS = "info"
    format: Literal["json", "console"] = "json"


class HttpHost(Part):
    """What Tocsin shows to one host that runbooks send requests to: headers, by reference."""

    headers: Mapping[str, SecretRef] = Field(default_factory=dict, description="like Authorization: env:DEPLOY_TOKEN")


class Metrics(Part):
    """Prometheus metrics at /metrics."""

    enabled: bool = True
    bearer: SecretRef | None = Field(default=None, description="ask whoever scrapes for this token")


Layer = Literal["landlock", "landlock_network", "landlock_signals", "seccomp", "user"]


class Interpreters(Part):
    """What executes scripts: a path, or a name that is looked for in /usr/local/bin, /usr/bin and /bin."""

    sh: Path = Path("sh")
    bash: Path = Path("bash")
    python: Path = Path("python3")


class Scripts(Part):
    """The sandbox for `script` steps of runbooks: whether there is one, and how much a script may use at most."""

    enabled: bool = Field(default=False, description="whether runbooks may run scripts at all")
    folder: Path = Field(
        default=Path("scripts"), description="where the scripts' private folders are made; relative to `state`"
    )
    interpreters: Interpreters = Interpreters()
    readable: tuple[Path, ...] = Field(
        default=(), description="folders that scripts may read and execute, beside /usr, /bin, /sbin and /lib"
    )
    require: tuple[Layer, ...] = Field(
        default=("landlock", "seccomp"), description="layers of the sandbox without which no script is run"
    )
    seconds: float = Field(default=300, gt=0, le=3600, description="how long one may run; steps ask for less")
    cpu_seconds: float = Field(default=60, ge=1, le=3600)
    memory: Size = Field(default=256 * MIB, ge=16 * MIB, description="of all processes of a script together")
    processes: int = Field(default=64, ge=1, le=4096, description="processes and threads")
    open_files: int = Field(default=256, ge=16, le=65536, description="of one process")
    disk: Size = Field(default=64 * MIB, ge=MIB, description="of all files together")
    files: int = Field(default=2000, ge=1, le=100_000, description="how many files it may make")
    output: Size = Field(default=MIB, ge=1024, le=64 * MIB, description="what it may print before it is ended")
    at_once: int = Field(default=2, ge=1, le=100, description="how many scripts run at the same time")
