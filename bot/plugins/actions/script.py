"""Run a small script in the sandbox: sh, bash or Python, in an empty folder, with nothing of the bot's, no network unless asked and allowed, and
bounded in everything. It must be enabled: `scripts.enabled` in tocsin.yaml.

A script is never a template: text of an alert must not become code. `{{ … }}` is for the values in `env` (and for `stdin`), which the script
reads as `"$NAME"`. `TOCSIN_KEY` is the same at every repetition of the step, for systems that take an idempotency key.

*Look*: runs `check`, if there is one; with `changes: false`, the script itself. Otherwise nothing. *Plan*: empty when `check` ends with 0 or with
`changes: false`; else `script: not run -> run (12 lines of sh, sha256 ab12…)`, its variables, its input, its undo, and whether the network is open.
*Do*: runs it; any exit status but 0 is a failure, with the last lines of what it printed. *Verify*: `check` ends with 0; with `changes: false`, the
script does. Without a `check` nothing can be seen afterwards, so an interrupted script that is not `repeatable` asks people. *Undo*: the script
`undo`, with the same variables. *Risk*: high: whatever the script does where the network lets it; what it can do to this machine is bounded by the
sandbox. *Permissions*: `script` in policy.yaml; `hosts: ["*"]` there for one that uses the network; `names` judges its `name` (the interpreter
without one).

*Facts* (for the tests of runbooks): `check_exit` (1, so that there is something to do), and for `changes: false` `exit` (0) and `output` ("").
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.clients.kit import Kit
from bot.clients.sandbox import Script
from bot.clients.sandbox_report import Ran
from bot.domain.naming import clipped, nearest
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput, Drifted

LONGEST_SCRIPT = 64_000
LONGEST_OUTPUT = 64_000
LONGEST_VALUE = 16_000
LONGEST_QUOTE = 800
SHOWN_VALUE = 200
MOST_VARIABLES = 50
MARKS = ("{{", "{%")
# What decides how a program is loaded, found or run; the sandbox sets some of them itself.
RESERVED = re.compile(
    r"(LD|GLIBC|GCONV|MALLOC|BASH|TOCSIN|LC)_[A-Z0-9_]*|PYTHON[A-Z0-9_]*|PERL5[A-Z0-9_]*|PERLLIB|RUBY(OPT|LIB)|NODE_(OPTIONS|PATH)|"
    r"(SHELL|BASH)OPTS|PS[0-9]|PATH|HOME|TMPDIR|PWD|OLDPWD|LANG|LOCPATH|NLSPATH|IFS|ENV|BASH|SHELL|CDPATH|PROMPT_COMMAND|GLOBIGNORE|HOSTALIASES"
)
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    literal: ClassVar[tuple[str, ...]] = ("run", "check", "undo")  # no templates in these, and none is rendered there

    run: str = Field(min_length=1, max_length=LONGEST_SCRIPT, description="the script's text; no templates in it")
    interpreter: Literal["sh", "bash", "python"] = Field(default="sh", description="what executes it")
    name: str = Field(default="", max_length=80, description="what people and policy.yaml call it")
    env: Mapping[str, str] = Field(
        default_factory=dict, max_length=MOST_VARIABLES, description="variables for the script; may be templates"
    )
    stdin: str = Field(default="", max_length=LONGEST_VALUE, description="what it reads; may be a template")
    network: bool = Field(default=False, description="whether it needs the network (TCP and UDP over IP)")
    changes: bool = Field(default=True, description="false: it only looks, so it runs before any approval")
    check: str = Field(
        default="",
        max_length=LONGEST_SCRIPT,
        description="a script that ends with 0 when there is nothing (left) to do",
    )
    undo: str = Field(default="", max_length=LONGEST_SCRIPT, description="a script that takes it back")
    repeatable: bool = Field(default=False, description="whether running it twice is as good as once")
    seconds: float = Field(default=20, gt=0, le=3600, description="how long it may run; less than the step's timeout")
    memory_mb: int | None = Field(default=None, ge=16, description="MiB; as much as scripts.memory gives when not set")

    @field_validator("run", "check", "undo")
    @classmethod
    def _no_template(cls, text: str) -> str:
        mark = next((mark for mark in MARKS if mark in text), None)
        if mark:
            raise ValueError(
                f"a script must not contain {mark}: text of alerts must not become code; pass values by env and read them "
                f'as "$NAME" (where the language itself needs {mark}, put a space or a quote between the two characters)'
            )
        if "\0" in text:
            raise ValueError("a script must not contain a NUL character")
        return text

    @field_validator("env")
    @classmethod
    def _variables(cls, env: Mapping[str, str]) -> Mapping[str, str]:
        for name, value in env.items():
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name[:80]!r} is not a name: capital letters, digits and _, beginning with a letter")
            if RESERVED.fullmatch(name):
                raise ValueError(f"{name} decides how programs run and cannot be set; take another name")
            if len(value) > LONGEST_VALUE:
                raise ValueError(f"{name} is longer than {LONGEST_VALUE:,} characters")
            if "\0" in value:
                raise ValueError(f"{name} must not contain a NUL character")
        return env

    @property
    def called(self) -> str:
        return self.name or self.interpreter

    @property
    def digest(self) -> str:
        """Over everything that decides what is run, so that an approval is of exactly this."""
        told = self.model_dump(mode="json", exclude={"name", "repeatable", "undo", "check"})
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def script(self, text: str, key: str = "") -> Script:
        return Script(
            text=text,
            interpreter=self.interpreter,
            env={**self.env, **({"TOCSIN_KEY": key} if key else {})},
            stdin=self.stdin,
            network=self.network,
            seconds=self.seconds,
            memory=self.memory_mb << 20 if self.memory_mb else None,
        )


class Plugin:
    """script"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = False  # only with a `check`; then plan is empty and verify asks for it
    risk: Literal["none", "low", "high"] = "high"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        return params.repeatable or not params.changes

    def target(self, params: Params) -> Target:
        lock = f"script {params.name or _sha256(params.run)[:12]}"
        return Target(action="script", name=params.called, host="*" if params.network else "", lock=lock)

    async def look(self, params: Params) -> dict[str, Any]:
        if not params.changes:
            ran = await self._run(params, params.run)
            return {"exit": ran.exit, "output": self._quote(ran)}
        if not params.check:
            return {"check_exit": None, "output": ""}
        ran = await self._run(params, params.check, "the check")
        return {"check_exit": ran.exit, "output": self._quote(ran)}

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        shown = _shown(params)
        if not params.changes or state["check_exit"] == 0:
            return Plan(target=shown)
        diffs = [Diff(what="script", before="not run", after="run", note=_described(params.run, params.interpreter))]
        if params.network:
            diffs.append(Diff(what="network", before="closed", after="open"))
        diffs += [
            Diff(what=f"env {name}", before="not set", after=clipped(self._kit.redact(value), SHOWN_VALUE))
            for name, value in sorted(params.env.items())
        ]
        if params.stdin:
            note = f"sha256 {_sha256(params.stdin)[:12]}"
            diffs.append(Diff(what="stdin", before="empty", after=f"{len(params.stdin)} characters", note=note))
        if params.undo:
            note = _described(params.undo, params.interpreter)
            diffs.append(Diff(what="undo", before="none", after="a script", note=note))
        want = {"sha256": params.digest, "text": _sha256(params.run)}
        return Plan(target=shown, diffs=tuple(diffs), want=want)

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        if plan.want.get("sha256") != params.digest:
            raise Drifted(f"{_shown(params)} is not the one that was planned")
        ran = await self._run(params, params.run, key=key)
        if ran.exit:
            hint = f" (perhaps because {ran.hint})" if ran.hint else ""
            raise BadInput(f"{_shown(params)} ended with exit status {ran.exit}{hint}{_after_colon(self._quote(ran))}")
        output = clipped(self._kit.redact(ran.output), LONGEST_OUTPUT)
        left = {"left": f"{ran.left} processes that it left behind were ended"} if ran.left else {}
        return {"exit": 0, "output": output, "seconds": ran.seconds, **left}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        quote = _after_colon(state.get("output", ""))
        if not params.changes:
            return f"{_shown(params)} ended with exit status {state['exit']}{quote}" if state["exit"] else None
        if params.check and state["check_exit"]:
            return f"the check of {_shown(params)} ends with exit status {state['check_exit']}{quote}"
        return None

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        if not params.undo:
            return None
        kept = params.model_dump(
            mode="json",
            include={"interpreter", "name", "env", "stdin", "network", "repeatable", "seconds", "memory_mb"},
        )
        return Undo(action="script", with_={**kept, "run": params.undo})

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        default: dict[str, Any] = {"exit": 0, "output": ""} if not params.changes else {"check_exit": 1, "output": ""}
        for name, value in given.items():
            if name not in default:
                raise BadInput(f"{name} is not a fact of this script{nearest(name, default)}: {', '.join(default)}")
            if not isinstance(value, str if name == "output" else int) or isinstance(value, bool):
                raise BadInput(f"{name}: wanted {'text' if name == 'output' else 'a number'}, found {value!r}")
        if params.changes and not params.check:
            if "check_exit" in given:
                raise BadInput("check_exit is a fact of scripts with a `check` only")
            default["check_exit"] = None
        return {**default, **given}

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return {**state, "check_exit": 0} if plan and params.check else dict(state)

    async def _run(self, params: Params, text: str, what: str = "", key: str = "") -> Ran:
        """BadInput when a limit ended it: then nothing that it says counts."""
        ran = await self._kit.scripts.run(params.script(text, key))
        if ran.stopped:
            of = f"{what} of " if what else ""
            raise BadInput(f"{of}{_shown(params)} was ended: {ran.stopped}{_after_colon(self._quote(ran))}")
        return ran

    def _quote(self, ran: Ran) -> str:
        """The last lines of what it printed."""
        text = self._kit.redact(ran.output).strip()
        return text if len(text) <= LONGEST_QUOTE else f"…{text[1 - LONGEST_QUOTE :]}"


def _shown(params: Params) -> str:
    return f"script {params.called}"


def _described(text: str, interpreter: str) -> str:
    count = len(text.splitlines())
    return f"{count} {'line' if count == 1 else 'lines'} of {interpreter}, sha256 {_sha256(text)[:12]}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _after_colon(quote: str) -> str:
    return f": {quote}" if quote else ""
