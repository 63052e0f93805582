"""`tocsin runbook run`, `history` and `show` beside a server that does the work: real processes, a practice cluster, a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.cli.showing import COLUMNS
from bot.practice.cluster.resources import DEPLOYMENTS
from bot.practice.server import Practice
from tests.cli.test_serve import asked, until
from tests.support.command_line import ROOT, SECRETS, Ended, changed, folder, started, tocsin, world
from tests.support.program import free_port

SCALE = ("scale-deployment", "-p", "namespace=shop", "-p", "deployment=cart")

pytestmark = pytest.mark.slow  # they talk to a served Tocsin, which takes its real time


@dataclass(frozen=True)
class Served:
    practice: Practice
    config: Path

    def tocsin(self, *words: str) -> Ended:
        return tocsin("runbook", *words, "--config", self.config)

    def replicas(self) -> int:
        cart = self.practice.cluster.store.get(DEPLOYMENTS, "shop", "cart")
        assert cart is not None
        return int(cart["spec"]["replicas"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("runs")
    listen = f"127.0.0.1:{free_port()}"
    with world() as practice:
        config = folder(place, practice.url, listen)
        with started("serve", "--config", config, log=place / "log"):
            until(lambda: asked(f"http://{listen}/readyz")[0] == 200)
            yield Served(practice, config)


def digest_of(text: str) -> str:
    [found] = set(re.findall(r"plan ([0-9a-f]{16})", text))
    return str(found)


def test_a_plan_is_shown_approved_by_its_digest_and_done_on_record(served: Served) -> None:
    want = ("-p", f"replicas={served.replicas() + 1}")
    planned = served.tocsin("plan", *SCALE, *want)
    assert planned.code == 0, planned.text
    assert planned.out.endswith("Nothing was changed.\n")
    digest = digest_of(planned.out)

    ended = served.tocsin("run", *SCALE, *want, "--new", "cart is slow", "--as", "ada", "--yes", digest)
    assert ended.code == 0, ended.text
    run = re.search(r"^(RUN-\d+) for INC-\d+, as Ada \(command line\)$", ended.out.replace("Ada Lovelace", "Ada"), re.M)
    assert run is not None, ended.out
    for part in ("+ replicas: ", "approved RUN-", "is doing it", "changed and verified", "succeeded"):
        assert part in ended.out

    shown = served.tocsin("show", run[1])
    assert shown.code == 0
    for part in ("succeeded", "approved by", "(command line)", f"plan {digest}", "undo: k8s.scale"):
        assert part in shown.out, shown.out
    first = next(one for one in json.loads(served.tocsin("history", "--json").out) if one["run"] == run[1])
    assert (first["runbook"], first["state"]) == ("scale-deployment", "succeeded")
    assert [one["digest"] for one in first["approvals"]] == [digest]
    assert first["changed"][0].startswith("shop/cart replicas: ")
    table = served.tocsin("history", "scale-deployment").out.splitlines()
    assert re.split(r"  +", table[0]) == list(COLUMNS)
    assert any(line.startswith(run[1]) and "replicas: " in line for line in table)


def test_on_a_terminal_the_plan_is_approved_by_typing_y(served: Served) -> None:
    want = served.replicas() + 1
    words = [*SCALE, "-p", f"replicas={want}", "--new", "cart again", "--as", "bob", "--config", str(served.config)]
    code, said = on_a_terminal(["runbook", "run", *words], "Approve? [y/N]", b"y\n")
    assert code == 0, said
    assert f"+ replicas: {want}" in said
    assert served.replicas() == want


def test_what_was_typed_before_the_question_is_no_answer(served: Served) -> None:
    before = served.replicas()
    words = [
        *SCALE,
        "-p",
        f"replicas={before + 1}",
        "--new",
        "too quick",
        "--as",
        "bob",
        "--config",
        str(served.config),
    ]
    code, said = on_a_terminal(["runbook", "run", *words], "Approve? [y/N]", b"n\n", early=b"y\ny\ny\n")
    assert code == 1, said
    assert "is refused. Nothing was done." in said
    assert served.replicas() == before


def test_ctrl_c_asks_and_cancels_the_run(served: Served) -> None:
    before = served.replicas()
    words = [
        *SCALE,
        "-p",
        f"replicas={before + 1}",
        "--new",
        "never mind",
        "--as",
        "ada",
        "--config",
        str(served.config),
    ]
    code, said = on_a_terminal(["runbook", "run", *words], "Approve? [y/N", b"\x03", then=("[c/L]", b"c\n"))
    assert code == 1, said
    assert "is cancelled; nothing was done" in said
    assert served.replicas() == before


def test_a_run_that_is_under_way_is_steered_and_taken_back_without_slack(served: Served) -> None:
    before = served.replicas()
    left = (
        "run",
        *SCALE,
        "-p",
        f"replicas={before + 1}",
        "--new",
        "no Slack",
        "--as",
        "ada",
        "--config",
        served.config,
    )
    log = served.config.parent / "left"
    with started("runbook", *left, log=log):
        until(lambda: "waits for somebody who may answer" in log.read_text(encoding="utf-8"))
    said = log.read_text(encoding="utf-8")
    [ref], digest = set(re.findall(r"`tocsin runbook follow (RUN-\d+)`", said)), digest_of(said.split("(without")[0])

    assert "is paused: nothing new is begun" in served.tocsin("pause", ref, "--as", "bob").out
    assert served.tocsin("resume", ref, "--as", "bob").out == f"{ref} goes on.\n"
    followed = served.tocsin("follow", ref, "--as", "bob", "--yes", digest)
    assert (followed.code, served.replicas()) == (0, before + 1), followed.text

    words = ["runbook", "undo", ref, "--as", "chen", "--config", str(served.config)]
    code, said = on_a_terminal(words, "Approve? [y/N]", b"n\n")
    assert (code, served.replicas()) == (1, before + 1), said
    assert "is refused. Nothing was done." in said
    assert "taken back by RUN-" not in served.tocsin("show", ref).out, "so it can be undone anew"
    code, said = on_a_terminal(words, "Approve? [y/N]", b"y\n")
    assert (code, served.replicas()) == (0, before), said
    cancelled = served.tocsin("cancel", ref, "--as", "bob")
    assert (cancelled.code, cancelled.err) == (
        2,
        f"{ref} has ended (succeeded), so it cannot be paused, resumed or cancelled.\n",
    )


@pytest.mark.parametrize("command", ["follow", "pause", "resume", "cancel", "undo"])
def test_who_steers_a_run_that_there_is_not_is_told_so(served: Served, command: str) -> None:
    refused = served.tocsin(command, "RUN-999", "--as", "bob")
    assert (refused.code, refused.err) == (
        2,
        "There is no RUN-999. `/incident runs` or `tocsin runbook history` lists them.\n",
    )
    assert "did you mean" in served.tocsin(command, "RUN-1", "--as", "bobb").err


def on_a_terminal(
    words: list[str], prompt: str, answer: bytes, *, early: bytes = b"", then: tuple[str, bytes] | None = None
) -> tuple[int, str]:
    """The command on a terminal of its own; `answer` is typed at the prompt, `early` before anything is there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, **SECRETS}
    command = [sys.executable, "-m", "bot", *words]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=take_terminal,
    )  # fmt: skip
    os.close(theirs)
    os.write(ours, early)
    waiting = [(prompt, answer), *([then] if then else [])]
    said, deadline = "", time.monotonic() + 40
    while True:
        assert time.monotonic() < deadline, said
        if not select.select([ours], [], [], 0.2)[0]:
            continue
        try:
            said += os.read(ours, 4096).decode(errors="replace").replace("\r\n", "\n")
        except OSError:  # nobody has the terminal any more
            break
        if waiting and waiting[0][0] in said:
            os.write(ours, waiting.pop(0)[1])
    os.close(ours)
    return process.wait(20), said


def take_terminal() -> None:
    """Ctrl-C reaches who controls the terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


# ------------------------------------------------------------------------------------------------ without a server


@pytest.fixture(scope="module")
def practice() -> Iterator[Practice]:
    with world() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, practice: Practice) -> Path:
    return folder(tmp_path, practice.url)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", *SCALE), "say for which incident: --incident INC-7, or --new"),
        (("run", *SCALE, "--incident", "INC-1", "--new", "x"), "say for which incident"),
        (("run", *SCALE, "--incident", "nonsense", "--as", "ada"), "does not name an incident"),
        (("run", *SCALE, "-p", "replicas=2", "--incident", "INC-99", "--as", "ada"), "There is no INC-99"),
        (("run", "scale-deploymnet", "--new", "x", "--as", "ada"), 'did you mean "scale-deployment"'),
        (("run", *SCALE, "--new", "x", "--as", "ada"), "needs replicas"),
        (("run", *SCALE, "-p", "replicas", "--new", "x", "--as", "ada"), "write it as NAME=VALUE"),
        (("run", *SCALE, "--new", "x", "--as", "adda"), 'nobody in oncall.yaml is called that; did you mean "ada"?'),
        (("run", *SCALE, "--new", "x", "--as", "ada", "--yes", "yes"), "wanted the digest of a plan, 16 hexadecimal digits"),
        (("show", "RUN-99"), "there is no file"),
        (("show", "seven"), "'seven' does not name a run; write it like RUN-1"),
        (("history",), "there is no file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line_and_opens_no_incident(
    config: Path, words: tuple[str, ...], said: str
) -> None:
    ended = tocsin("runbook", *words, "--config", config)
    assert ended.code == 2, ended.text
    assert said in ended.err
    assert len(ended.err.strip().splitlines()) == 1


def test_whoever_has_no_role_starts_nothing_and_is_told_who_can(config: Path) -> None:
    changed(config / "policy.yaml", "start: [responders]", "start: [admins]")
    ended = tocsin("runbook", "run", *SCALE, "-p", "replicas=2", "--new", "x", "--as", "bob", "--config", config)
    assert ended.code == 2
    assert re.search(r"policy\.yaml:\d+ \(runbooks\.start\): only the role admins may start and steer runs", ended.err)
    assert "the role admins (" in ended.err
    assert json.loads(tocsin("runbook", "history", "--json", "--config", config).out) == []


def test_a_user_name_that_is_nobody_has_to_say_who_it_is(config: Path) -> None:
    ended = tocsin("runbook", "run", *SCALE, "-p", "replicas=2", "--new", "x", "--config", config)
    assert ended.code == 2
    assert "say who you are with --as: your user name" in ended.err


def test_an_empty_history_has_only_its_head(config: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    assert tocsin("db", "upgrade", "--config", config).code == 0
    assert tocsin("runbook", "history", "--config", config).out.startswith("RUN  WHEN  RUNBOOK")
    ended = tocsin("runbook", "show", "RUN-99", "--config", config)
    assert (ended.code, ended.err) == (
        2,
        "There is no RUN-99. `/incident runs` or `tocsin runbook history` lists them.\n",
    )
    ended = tocsin("runbook", "history", "scale-deploymnet", "--config", config)
    assert ended.code == 2
    assert 'did you mean "scale-deployment"' in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("leave", [False, True])
def test_without_a_server_it_says_so_and_nothing_is_left_behind(config: Path, leave: bool) -> None:
    words = (*SCALE, "-p", "replicas=2", "--new", "x", "--as", "ada", *(["--leave"] if leave else []))
    ended = tocsin("runbook", "run", *words, "--config", config)
    assert ended.code == 1
    assert f"No `tocsin serve` works on this database; start one with `tocsin serve --config {config}`." in ended.out
    assert ("RUN-1 is left for it." in ended.out) == leave
    assert ("RUN-1 is cancelled; nothing was done." in ended.out) != leave
    [run] = json.loads(tocsin("runbook", "history", "--json", "--config", config).out)
    assert run["state"] == ("planning" if leave else "cancelled")
