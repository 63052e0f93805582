"""script: never a template, planned by its text and its values, run in the sandbox, judged by its check."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.clients.sandbox import Sandbox, Script
from bot.clients.sandbox_report import Ran
from bot.clients.sandbox_watch import Limits
from bot.domain.redaction import Redactor
from bot.errors import BadInput, Drifted, TryLater
from bot.plugins.actions.script import Params, Plugin
from tests.support.sandboxes import open_folder

needs_layers = pytest.mark.skipif(
    any(there is not True for name, there in Sandbox(Path()).layers().items() if name != "user"),
    reason="this kernel lacks a layer of the sandbox",
)


@pytest.fixture
def action() -> Iterator[Plugin]:
    with open_folder() as folder:
        sandbox = Sandbox(folder / "scripts", Limits(seconds=20, memory=128 << 20))
        yield Plugin(Kit(None, None, Http(str), Redactor(), sandbox))


class Told(Sandbox):
    """Keeps what it is to run, and answers as told."""

    def __init__(self, *answers: Ran | Exception) -> None:
        super().__init__(Path("/nowhere"))
        self.answers = list(answers)
        self.asked: list[Script] = []

    async def run(self, script: Script) -> Ran:
        self.asked.append(script)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def ended(code: int = 0, output: str = "", **more: Any) -> Ran:
    return Ran(exit=code, stopped=more.pop("stopped", ""), output=output, size=len(output), seconds=0.1, **more)


def told(*answers: Ran | Exception) -> tuple[Plugin, Told]:
    sandbox = Told(*answers)
    return Plugin(Kit(None, None, Http(str), Redactor(), sandbox)), sandbox


# ------------------------------------------------------------------------------------------------ parameters


@pytest.mark.parametrize("field", ["run", "check", "undo"])
@pytest.mark.parametrize("text", ["echo {{ params.name }}", "{% if x %}rm{% endif %}"])
def test_a_script_is_never_a_template(field: str, text: str) -> None:
    with pytest.raises(ValidationError, match="text of alerts must not become code; pass values by env"):
        Params.model_validate({"run": "true", field: text})
    assert field in Params.literal


def test_what_only_looks_like_a_comment_of_a_template_is_a_script() -> None:
    assert Params(run="echo ${#list}").run == "echo ${#list}"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "PATH",
            "HOME",
            "IFS",
            "ENV",
            "BASH_ENV",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PS4",
        ),
        *("GLIBC_TUNABLES", "TOCSIN_KEY", "SHELLOPTS", "PROMPT_COMMAND", "PERL5OPT", "NODE_OPTIONS", "MALLOC_CHECK_"),
    ],
)
def test_variables_that_decide_how_programs_run_cannot_be_set(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} decides how programs run and cannot be set"):
        Params(run="true", env={name: "x"})


@pytest.mark.parametrize("name", ["", "lower", "1ST", "A-B", "A B", "A=B", "Ä", "A" * 65, "BASH_FUNC_x%%"])
def test_variables_have_plain_names(name: str) -> None:
    with pytest.raises(ValidationError, match=r"is not a name|decides how"):
        Params(run="true", env={name: "x"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": ""}, {"run": "x" * 64_001}, {"run": "a\0b"}, {"interpreter": "perl"}, {"env": {"A": "a\0b"}},
        {"env": {"A": "x" * 16_001}}, {"env": {f"A{n}": "" for n in range(51)}}, {"stdin": "x" * 16_001},
        {"seconds": 0}, {"seconds": 3601}, {"memory_mb": 1}, {"image": "alpine"},
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(wrong: dict[str, Any]) -> None:
    Params(run="true", env={"NODE": "n1", "LDAP_HOST": "x", "PATHS": "y"})
    with pytest.raises(ValidationError):
        Params.model_validate({"run": "true", **wrong})


# ------------------------------------------------------------------------------------------------ plans


def test_the_plan_says_what_is_run_with_which_values() -> None:
    action, sandbox = told()
    text = 'set -e\ncurl -X POST "https://$HOST/purge"\n'
    params = Params(
        run=text,
        interpreter="bash",
        name="purge",
        env={"HOST": "cdn", "B": "password=hunter22"},
        stdin="x" * 7,
        network=True,
    )
    plan = action.plan({"check_exit": None}, params)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert [str(diff) for diff in plan.diffs] == [
        f"script: not run -> run (2 lines of bash, sha256 {digest[:12]})",
        "network: closed -> open",
        "env B: not set -> password=[redacted: password]",
        "env HOST: not set -> cdn",
        f"stdin: empty -> 7 characters (sha256 {hashlib.sha256(b'x' * 7).hexdigest()[:12]})",
    ]
    assert plan.want["text"] == digest
    assert "hunter22" not in plan.model_dump_json()
    assert sandbox.asked == []


def test_an_approval_is_of_exactly_this_script_and_these_values() -> None:
    action, _ = told()
    first = Params(run="a", env={"A": "1"})
    changes: list[dict[str, Any]] = [
        {"run": "b"}, {"env": {"A": "2"}}, {"env": {"A": "1", "B": ""}}, {"stdin": "x"}, {"interpreter": "bash"},
        {"network": True}, {"seconds": 5.0}, {"memory_mb": 64},
    ]  # fmt: skip
    digests = {action.plan({"check_exit": 1}, first.model_copy(update=changed)).digest for changed in [{}, *changes]}
    assert len(digests) == len(changes) + 1


def test_policy_is_shown_its_name_and_whether_it_uses_the_network() -> None:
    action, _ = told()
    quiet, loud = (action.target(Params(run="true", network=network)) for network in (False, True))
    assert (quiet.action, quiet.name, quiet.host, loud.host) == ("script", "sh", "", "*")
    assert action.target(Params(run="true", name="purge")).locked == "script purge"
    assert action.target(Params(run="true")).locked != action.target(Params(run="false")).locked


async def test_only_the_planned_script_is_run() -> None:
    action, sandbox = told()
    plan = action.plan({"check_exit": None}, Params(run="a"))
    with pytest.raises(Drifted):
        await action.do(plan, Params(run="b"), "key")
    assert sandbox.asked == []


def test_undo_is_the_other_script_with_the_same_values() -> None:
    action, _ = told()
    params = Params(
        run="a", undo="b", check="c", env={"A": "{{ from an alert }}"}, interpreter="bash", network=True, memory_mb=64
    )
    plan = action.plan({"check_exit": 1}, params)
    assert "undo: none -> a script (1 line of bash, sha256 3e23e8160039)" in [str(diff) for diff in plan.diffs]
    assert plan.digest != action.plan({"check_exit": 1}, params.model_copy(update={"undo": "other"})).digest
    undo = action.undo(plan, {}, params)
    assert undo is not None
    back = Params.model_validate(undo.with_)
    assert (undo.action, back.run, back.undo, back.check) == ("script", "b", "", "")
    assert (back.env, back.interpreter, back.network, back.memory_mb) == (params.env, "bash", True, 64)
    assert action.undo(action.plan({"check_exit": 1}, params), {}, Params(run="a")) is None


def test_it_is_repeated_only_where_the_runbook_says_so() -> None:
    action, _ = told()
    given = [{}, {"repeatable": True}, {"changes": False}]
    assert [action.repeatable(Params.model_validate({"run": "a", **one})) for one in given] == [False, True, True]


# ------------------------------------------------------------------------------------------------ in the sandbox


@needs_layers
async def test_it_runs_with_its_values_and_its_key(action: Plugin) -> None:
    params = Params(run='echo "$WHAT for $TOCSIN_KEY"; cat', env={"WHAT": "$(id) `id` 'x'"}, stdin="in")
    plan = action.plan(await action.look(params), params)
    result = await action.do(plan, params, "tocsin-run-1-purge")
    assert (result["exit"], result["output"]) == (0, "$(id) `id` 'x' for tocsin-run-1-purge\nin")
    assert 0 <= result["seconds"] < 20
    assert action.verify(await action.look(params), params) is None


@needs_layers
async def test_with_a_check_there_is_nothing_to_do_when_it_is_already_so(action: Plugin) -> None:
    params = Params(run="echo changed", check='test "$WANTED" = "$THERE"', env={"WANTED": "1", "THERE": "0"})
    state = await action.look(params)
    assert state["check_exit"] == 1
    assert action.plan(state, params)
    assert action.verify(state, params) == "the check of script sh ends with exit status 1"
    done = params.model_copy(update={"env": {"WANTED": "1", "THERE": "1"}})
    state = await action.look(done)
    assert not action.plan(state, done)
    assert action.verify(state, done) is None


@needs_layers
async def test_one_that_only_looks_is_run_while_looking_and_plans_nothing(action: Plugin) -> None:
    params = Params(run="import sys\nprint(6 * 7)\nsys.exit(2)", interpreter="python", changes=False)
    state = await action.look(params)
    assert state == {"exit": 2, "output": "42"}
    assert not action.plan(state, params)
    assert action.verify(state, params) == "script python ended with exit status 2: 42"
    good = params.model_copy(update={"run": "print(1)"})
    assert action.verify(await action.look(good), good) is None


@needs_layers
async def test_a_failure_is_told_with_its_last_lines_and_without_secrets(action: Plugin) -> None:
    params = Params(run="seq 1000; echo 'password=hunter22'; exit 7", name="purge")
    with pytest.raises(BadInput, match=r"script purge ended with exit status 7: …") as caught:
        await action.do(action.plan({"check_exit": None}, params), params, "key")
    assert str(caught.value).endswith("1000\npassword=[redacted: password]")
    assert len(str(caught.value)) < 1000


@needs_layers
async def test_a_limit_is_named(action: Plugin) -> None:
    params = Params(run="echo began; sleep 100", seconds=0.3)
    with pytest.raises(BadInput, match=r"script sh was ended: it ran longer than 0\.3 s: began"):
        await action.do(action.plan({"check_exit": None}, params), params, "key")
    looking = Params(run="true", check="sleep 100", seconds=0.3)
    with pytest.raises(BadInput, match=r"the check of script sh was ended: it ran longer than 0\.3 s"):
        await action.look(looking)
    hungry = Params(run="bytearray(1 << 30)", interpreter="python", memory_mb=32)
    with pytest.raises(BadInput, match=r"exit status 1 \(perhaps because it used more than 32 MiB of memory\)"):
        await action.do(action.plan({"check_exit": None}, hungry), hungry, "key")


async def test_an_uncertain_end_stays_uncertain() -> None:
    action, _ = told(TryLater("the sandbox's launcher was lost", uncertain=True))
    params = Params(run="true")
    with pytest.raises(TryLater) as caught:
        await action.do(action.plan({"check_exit": None}, params), params, "key")
    assert caught.value.uncertain


async def test_what_was_left_behind_is_told_and_long_output_is_bounded() -> None:
    action, _ = told(ended(output="x" * 70_000, left=2))
    params = Params(run="true")
    result = await action.do(action.plan({"check_exit": None}, params), params, "key")
    assert result["left"] == "2 processes that it left behind were ended"
    assert len(result["output"]) == 64_000


async def test_look_runs_nothing_without_a_check() -> None:
    action, sandbox = told()
    assert await action.look(Params(run="true")) == {"check_exit": None, "output": ""}
    assert sandbox.asked == []


async def test_a_check_is_run_with_the_same_bounds_and_without_a_key() -> None:
    action, sandbox = told(ended(1))
    await action.look(Params(run="a", check="b", env={"A": "1"}, stdin="in", seconds=3, memory_mb=64))
    assert sandbox.asked == [Script("b", "sh", {"A": "1"}, "in", False, 3, 64 << 20)]


async def test_it_must_be_enabled() -> None:
    action = Plugin(Kit(None, None, Http(str), str))
    with pytest.raises(BadInput, match=r"scripts are not enabled: set `scripts\.enabled: true` in tocsin\.yaml"):
        await action.look(Params(run="true", changes=False))


# ------------------------------------------------------------------------------------------------ runbooks' tests


@pytest.mark.parametrize(
    ("more", "planned"),
    [({}, True), ({"check": "true"}, True), ({"changes": False}, False)],
    ids=["plain", "check", "looks"],
)
def test_facts_give_a_state_and_after_what_it_becomes(more: dict[str, Any], planned: bool) -> None:
    action, _ = told()
    params = Params.model_validate({"run": "a", **more})
    state = action.facts({}, params)
    plan = action.plan(state, params)
    assert bool(plan) == planned
    after = action.after(state, plan, params)
    assert action.verify(after, params) is None
    if params.check:
        assert action.verify(state, params)
        assert not action.plan(after, params)


def test_facts_can_say_that_it_is_already_so_or_that_it_fails() -> None:
    action, _ = told()
    checked, looks = Params(run="a", check="b"), Params(run="a", changes=False)
    assert not action.plan(action.facts({"check_exit": 0}, checked), checked)
    assert (
        action.verify(action.facts({"exit": 3, "output": "no"}, looks), looks)
        == "script sh ended with exit status 3: no"
    )


@pytest.mark.parametrize(
    ("given", "more", "words"),
    [
        ({"chek_exit": 0}, {"check": "b"}, 'chek_exit is not a fact of this script; did you mean "check_exit"'),
        ({"exit": 0}, {"check": "b"}, "exit is not a fact of this script"),
        ({"check_exit": 0}, {}, "check_exit is a fact of scripts with a `check` only"),
        ({"check_exit": "0"}, {"check": "b"}, "check_exit: wanted a number, found '0'"),
        ({"exit": True}, {"changes": False}, "exit: wanted a number, found True"),
        ({"output": 1}, {"changes": False}, "output: wanted text, found 1"),
    ],
)
def test_a_wrong_fact_is_named(given: dict[str, Any], more: dict[str, Any], words: str) -> None:
    action, _ = told()
    with pytest.raises(BadInput) as caught:
        action.facts(given, Params.model_validate({"run": "a", **more}))
    assert words in str(caught.value)
