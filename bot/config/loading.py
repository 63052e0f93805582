"""Reads the folder of the configuration into one frozen Config, or says everything that is wrong with it. Called by app and by `tocsin check`."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.config import (
    channels,
    files,
    oncall,
    oncall_checks,
    oncall_doubts,
    policy,
    routes,
    signal_checks,
    signal_made,
)
from bot.config.files import Config, Registry, TocsinFile
from bot.config.marks import Document, override
from bot.config.oncall import OncallFile
from bot.config.policy import PolicyFile, Service
from bot.config.problems import ConfigErrors, Problem, in_order, nearest
from bot.config.runbook_steps import Known
from bot.config.runbooks import Runbooks, forbidden, helpless
from bot.config.secrets import Secrets
from bot.config.sources import Reading
from bot.config.validate import found, validate, validate_sections
from bot.config.yaml import read
from bot.domain.people import Directory
from bot.domain.policy import Policy as ActionPolicy

MAIN, SERVICES, ONCALL, POLICY = "tocsin.yaml", "services.yaml", "oncall.yaml", "policy.yaml"
FILES = (MAIN, SERVICES, ONCALL, POLICY)
NEEDED = (MAIN, ONCALL)
YAML_ENDINGS = (".yaml", ".yml")
MOST_RUNBOOKS = 1000
NEEDS_RESTART = (
    "server",
    "database",
    "slack",
    "sources",
    "media",
    "calendars",
    "heartbeat",
    "gatherers",
    "kubernetes",
    "prometheus",
    "databases",
    "postmortem",
    "redact_extra",
    "scripts",
    "metrics",
    "api",
    "log",
)


def load(
    folder: Path | str,
    registry: Registry,
    environ: Mapping[str, str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    resolve_secrets: bool = True,
    now: datetime | None = None,
) -> Config:
    """The configuration in `folder`. Raises ConfigErrors with all the problems there are.

    `environ` is the process's own when not given. `overrides` replaces values by path (`server.listen`, `oncall.policies.shop.levels[0].timeout`).
    With `resolve_secrets=False` references are only checked for how they are written: for lint and for editors. `now`: to warn of what is over.
    """
    place = Path(folder)
    secrets = Secrets(os.environ if environ is None else environ, place, resolve_secrets)
    return _Loading(place, registry, secrets, now).config(overrides or {})


def reload(
    folder: Path | str,
    registry: Registry,
    old: Config,
    environ: Mapping[str, str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
) -> Config:
    """As `load`; raises ConfigErrors, and then the caller keeps `old`. A warning names what takes effect only after a restart."""
    new = load(folder, registry, environ, overrides=overrides)
    changed = [name for name in NEEDS_RESTART if getattr(new, name) != getattr(old, name)]
    file = os.path.normpath(Path(folder) / MAIN)
    late = [Problem(file, 0, 0, name, "has changed, which takes effect after a restart") for name in changed]
    return replace(new, warnings=(*new.warnings, *late))


@dataclass(slots=True)
class _Loading:
    """One load: problems and warnings gather here, and only the end decides."""

    folder: Path
    registry: Registry
    secrets: Secrets
    now: datetime | None = None
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    severities: tuple[str, ...] = ()  # none: they could not be read, so nothing is said about references to them
    media: channels.Media = channels.NO_MEDIA

    def config(self, overrides: Mapping[str, Any]) -> Config:
        documents = self._documents()
        self.problems += override(documents, MAIN, overrides)
        main, catalogue, people, rules = (documents[name] for name in FILES)
        tocsin = self._tocsin(main)
        reading = Reading(main, self.secrets)
        sources = reading.sources(self.registry.sources, self.registry.senders)
        gatherers = reading.gatherers(self.registry.gatherers)
        self.media = channels.media(reading, self.registry.channels, self.registry.channel_facts)
        self.problems += reading.problems
        self.warnings += reading.warnings
        oncall_file, problems, _ = validate_sections(OncallFile, people, self.secrets)
        self.problems += problems
        policy_file, problems, _ = validate_sections(PolicyFile, rules, self.secrets)
        self.problems += problems
        services = self._services(catalogue)
        everybody = oncall.directory(oncall_file, policy_file.roles, self.media)
        calendars = oncall.calendars(oncall_file, files.absolute(self.folder))
        self._compare(tocsin, main, oncall_file, people, policy_file, rules)
        members = {member for role in policy_file.roles.values() for member in role}
        self._on_call(tocsin, main, oncall_file, people, everybody, members)
        if self.secrets.resolve:
            self.problems += oncall_checks.missing_files(calendars, people)
        action_policy = policy.built(policy_file, rules, {key: one.name for key, one in everybody.people.items()})
        runbooks = self._runbooks(tocsin, main, policy_file, rules, action_policy)
        if self.problems or tocsin.slack is None or tocsin.route is None:
            raise ConfigErrors(self._sorted(self.problems), self._sorted(self.warnings))
        return Config(
            folder=files.absolute(self.folder),
            state=tocsin.state,
            server=tocsin.server,
            database=tocsin.database,
            slack=tocsin.slack,
            sources=sources,
            auto_resolve=tocsin.auto_resolve,
            signal=signal_made.signal(tocsin, routes.built(tocsin.route), services),
            digest=signal_made.digest(tocsin, tocsin.slack.fallback_channel),
            keep_log=tocsin.keep.alert_log,
            policies=oncall.policies(oncall_file),
            directory=everybody,
            media=self.media.made,
            last_resort=oncall_file.alarm,
            calendars=calendars,
            heartbeat=tocsin.heartbeat,
            policy=action_policy,
            services=services,
            gatherers=gatherers,
            runbooks=runbooks.found,
            kubernetes=tocsin.kubernetes,
            prometheus=tocsin.prometheus,
            postmortem=tocsin.postmortem,
            redact_extra=dict(policy_file.redact.extra),
            http=tocsin.http,
            databases=tocsin.databases,
            scripts=tocsin.scripts,
            log=tocsin.log,
            metrics=tocsin.metrics,
            api=tocsin.api,
            secrets=tuple(dict.fromkeys(self.secrets.found)),
            warnings=tuple(self._sorted(self.warnings)),
        )

    # ------------------------------------------------------------------------------------------------ files

    def _documents(self) -> dict[str, Document]:
        """The four files. Two of them must be there; a folder that is not there is the only problem then."""
        if not self.folder.is_dir():
            what = "is not a folder" if self.folder.exists() else "there is no such folder"
            raise ConfigErrors([Problem(str(self.folder), 0, 0, "", f"{what}; expected one with {MAIN} and {ONCALL}")])
        documents = {name: self._read(self.folder / name) for name in FILES if os.path.lexists(self.folder / name)}
        for name in FILES:
            if name not in documents:
                documents[name] = Document(self._shown(self.folder / name), readable=name not in NEEDED)
                if name in NEEDED:
                    self.problems.append(
                        Problem(documents[name].file, 0, 0, "", "there is no such file, and it is needed")
                    )
        for path in self._yaml_files(self.folder):
            if path.name not in FILES:
                words = f"is not read: the files are {', '.join(FILES)}{nearest(path.name, FILES)}"
                self.warnings.append(Problem(self._shown(path), 0, 0, "", words))
        return documents

    def _read(self, path: Path) -> Document:
        document, problems = read(path, self._shown(path))
        self.problems += problems
        return document

    def _yaml_files(self, folder: Path) -> list[Path]:
        """Sorted by name. Names with a leading dot are left out: a mounted ConfigMap is full of them."""
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            self.problems.append(Problem(self._shown(folder), 0, 0, "", f"cannot be read: {error.strerror or error}"))
            return []
        return [folder / name for name in names if name.endswith(YAML_ENDINGS) and not name.startswith(".")]

    def _shown(self, path: Path) -> str:
        return os.path.normpath(path)

    def _sorted(self, problems: list[Problem]) -> list[Problem]:
        return in_order(problems, [self._shown(self.folder / name) for name in FILES])

    # ------------------------------------------------------------------------------------------------ sections

    def _tocsin(self, document: Document) -> TocsinFile:
        """The sections of tocsin.yaml that are right, with absolute paths."""
        if isinstance(document.data, dict) and isinstance(document.data.get("database"), str):
            document.data["database"] = {"url": document.data["database"]}
            document.marks["database", "url"] = document.marks["database",]
        file, problems, bad = validate_sections(TocsinFile, document, self.secrets)
        self.problems += problems
        if document.readable:
            self.problems += files.checked(file, document, bad)
            self.severities = () if "severities" in bad else file.severities
        file = files.placed(file, self.folder)
        if self.secrets.resolve:
            self.problems += files.missing_files(file, document)
        return file

    def _services(self, document: Document) -> dict[str, Service]:
        data = {} if document.data is None else document.data
        if not isinstance(data, dict):
            self.problems.append(document.problem((), f"wanted a mapping (service: …), found {found(data)}"))
            return {}
        services = {}
        for name, value in data.items():
            service, problems = validate(Service, document, {} if value is None else value, (name,), self.secrets)
            self.problems += problems
            if service:
                services[name] = service.model_copy(update={"name": name})
        self.problems += policy.checked_services(services, document, list(data), self.severities)
        self.warnings += policy.doubtful_services(services, document)
        return services

    def _compare(
        self,
        tocsin: TocsinFile,
        main: Document,
        people_file: OncallFile,
        people: Document,
        policy_file: PolicyFile,
        rules: Document,
    ) -> None:
        """What the files say about each other. A file that could not be read proves nothing about the names in the others."""
        actions = sorted(self.registry.actions)
        members = {member for role in policy_file.roles.values() for member in role}
        used = routes.policies_of(tocsin.route) if tocsin.route else set()
        known_people = people.names("people") if people.usable else members
        self.problems += policy.checked(policy_file, rules, known_people, actions, rules.names("roles"))
        self.warnings += policy.doubtful(policy_file, rules, actions, self.now)
        if tocsin.route:
            known = people.names("policies") if people.usable else used
            self.problems += routes.checked(tocsin.route, main, known, self.severities)
            self.warnings += routes.doubtful(tocsin.route, main, self.media)
        self.warnings += signal_checks.doubtful(tocsin, main, self.media, self.now)
        if main.readable and not tocsin.sources:
            self.warnings.append(main.problem(("sources",), "there are no sources, so no alert can come in", key=True))

    def _on_call(
        self,
        tocsin: TocsinFile,
        main: Document,
        file: OncallFile,
        people: Document,
        everybody: Directory,
        role_members: Collection[str],
    ) -> None:
        """What oncall.yaml says, and what it and the media of tocsin.yaml say about each other."""
        media = self.media if main.usable else None
        wrong = list(oncall_checks.checked(file, people, oncall_checks.Known.of(people, self.severities, media)))
        self.problems += wrong if people.usable else []
        used = oncall.media_used(file, self.media) if people.usable else None
        facts = self.registry.channel_facts
        self.warnings += channels.doubtful(self.media, facts, tocsin.server, main, used)
        if tocsin.route:
            use = oncall_doubts.Use(routes.policies_of(tocsin.route), role_members, tocsin.severities[0], media)
            now = None if wrong else self.now
            self.warnings += oncall_doubts.doubtful(file, people, use, everybody.schedules, now)

    def _runbooks(
        self, tocsin: TocsinFile, main: Document, policy_file: PolicyFile, rules: Document, allowed: ActionPolicy
    ) -> Runbooks:
        roles = {name: policy_file.roles.get(name, ()) for name in rules.names("roles")}
        runbooks = Runbooks(Known(self.registry.actions, roles if rules.usable else None, self.registry.about))
        for number, folder in enumerate(tocsin.runbooks if tocsin.runbooks is not None else (Path("runbooks"),)):
            place = self.folder / folder
            if not os.path.isdir(place):
                if tocsin.runbooks is not None:
                    words = f"there is no folder {self._shown(place)}; paths begin at the folder of this file"
                    self.problems.append(main.problem(("runbooks", number), words))
                continue
            paths = self._yaml_files(place)
            if len(paths) > MOST_RUNBOOKS:
                self.problems.append(main.problem(("runbooks", number), f"has more than {MOST_RUNBOOKS} files"))
            for path in paths[:MOST_RUNBOOKS]:
                document = self._read(path)
                if document.readable:
                    runbooks.add(document)
        runbooks.finish()
        self.problems += runbooks.problems
        self.warnings += runbooks.warnings
        absent = {name for name in ("kubernetes", "prometheus") if getattr(tocsin, name) is None}
        for name, runbook in runbooks.found.items():
            self.warnings += forbidden(runbook, runbooks.documents[name], allowed, self.registry.about)
            self.warnings += helpless(runbook, runbooks.documents[name], absent)
        return runbooks
