"""Renders templates: the parameters of runbook steps, the post-mortem, fields of alerts, messages. Implements `Templates` and `Wording` for flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from types import CodeType
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError

from bot.clients.bounded_jinja import BoundedEnvironment, Budget, TooMuch
from bot.clients.markdown_text import duration, fenced, md, utc
from bot.errors import BadInput

LONGEST_TEMPLATE = 16_000
LONGEST_VALUE = 64_000
LONGEST_FIELD = 20_000
LONGEST_MESSAGE = 3_000
DEEPEST = 20
LONGEST_DOCUMENT_TEMPLATE = 200_000
LONGEST_DOCUMENT = 4_000_000
PACKAGED = "postmortem.md.j2"
MARKDOWN: Mapping[str, Callable[..., str]] = {"md": md, "utc": utc, "duration": duration, "fenced": fenced}


class JinjaTemplates:
    """`postmortem_file`: the user's own template; empty for the packaged one (bot/templates). BadInput when it is not there or not a template."""

    def __init__(self, postmortem_file: str = "") -> None:
        self._name = postmortem_file or PACKAGED
        try:
            source = Path(postmortem_file) if postmortem_file else files("bot").joinpath("templates", PACKAGED)
            self._postmortem = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"post-mortem template {self._name}: {error}") from error
        self._document({}, check_only=True)

    def value(self, template: Any, facts: Mapping[str, Any]) -> Any:
        """The same structure with every text in it rendered. A text without `{{` or `{%` stays as it is; a rendered one is text."""
        return self._walk(template, facts, Budget(steps=10_000, size=LONGEST_VALUE, seconds=1.0), "", 0)

    def message(self, template: str, facts: Mapping[str, Any]) -> str:
        """What somebody is told, in the words of the house or of the person (the port `Wording`): at most 3000 characters, without loops."""
        if len(template) > LONGEST_TEMPLATE:
            raise BadInput(f"template of a message: longer than {LONGEST_TEMPLATE:,} characters")
        environment = BoundedEnvironment(Budget(steps=10_000, size=LONGEST_MESSAGE, seconds=1.0), facts)
        return _rendered(environment, template, facts, "template of a message", LONGEST_MESSAGE)

    def postmortem(self, facts: Mapping[str, Any]) -> str:
        """Markdown. The same facts and template give the same bytes."""
        return self._document(facts)

    def _walk(self, template: Any, facts: Mapping[str, Any], budget: Budget, path: str, depth: int) -> Any:
        if depth > DEEPEST:
            raise BadInput(f"{path}: nested more than {DEEPEST} deep")
        if isinstance(template, Mapping):
            return {
                key: self._walk(value, facts, budget, f"{path}.{key}" if path else str(key), depth + 1)
                for key, value in template.items()
            }
        if isinstance(template, list | tuple):
            return [self._walk(one, facts, budget, f"{path}[{n}]", depth + 1) for n, one in enumerate(template)]
        if not isinstance(template, str) or not any(mark in template for mark in ("{{", "{%", "{#")):
            return template
        if len(template) > LONGEST_TEMPLATE:
            raise BadInput(f"{path or 'template'}: longer than {LONGEST_TEMPLATE:,} characters")
        return _rendered(BoundedEnvironment(budget, facts), template, facts, path or "template", LONGEST_VALUE)

    def _document(self, facts: Mapping[str, Any], *, check_only: bool = False) -> str:
        where = f"post-mortem template {self._name}"
        if len(self._postmortem) > LONGEST_DOCUMENT_TEMPLATE:
            raise BadInput(f"{where}: longer than {LONGEST_DOCUMENT_TEMPLATE:,} characters")
        budget = Budget(steps=2_000_000, size=LONGEST_DOCUMENT, seconds=10.0)
        environment = BoundedEnvironment(budget, facts, loops=True, filters=MARKDOWN)
        return _rendered(environment, self._postmortem, facts, where, LONGEST_DOCUMENT, check_only=check_only)


class FieldTemplates:
    """The small templates of one delivery, rendered for each of its alerts: an alert has a budget of its own, and all of them together have one.

    Steps are what bounds an alert; times are there for what takes long in one step, and long enough for a pause of the garbage collector.
    What a template is compiled to is kept from one delivery to the next.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self._whole = Budget(steps=1_000_000, size=LONGEST_FIELD, seconds=seconds)
        self._facts: dict[str, Any] = {}
        self._environment = BoundedEnvironment(self._whole, self._facts)
        self._templates: dict[str, Template] = {}

    def about(self, facts: Mapping[str, Any]) -> None:
        """Begins with the next alert."""
        self._facts.clear()
        self._facts.update(facts)
        self._environment.renew(Budget(steps=5_000, size=LONGEST_FIELD, seconds=1.0))

    def text(self, template: str, where: str) -> str:
        """BadInput that begins with `where` and names what is missing or wrong."""

        def parts() -> Iterable[str]:
            self._whole.spend()
            made = self._templates.get(template)
            if made is None:
                environment = self._environment
                made = Template.from_code(environment, _code(template), environment.make_globals(None))
                self._templates[template] = made
            return made.generate(self._facts)

        return _joined(parts, self._environment.budget, where, LONGEST_FIELD)


@lru_cache(maxsize=512)
def _code(template: str) -> CodeType:
    return BoundedEnvironment(Budget(steps=10_000, size=LONGEST_TEMPLATE, seconds=1.0), {}).compile(template)


def _rendered(
    environment: BoundedEnvironment,
    source: str,
    facts: Mapping[str, Any],
    where: str,
    longest: int,
    *,
    check_only: bool = False,
) -> str:
    """The text, within its bounds."""

    def parts() -> Iterable[str]:
        template = environment.from_string(source)
        return () if check_only else template.generate(facts)

    return _joined(parts, environment.budget, where, longest)


def _joined(parts: Callable[[], Iterable[str]], budget: Budget, where: str, longest: int) -> str:
    """The parts as one text. Whatever is wrong with a template is BadInput with the place and the reason."""
    texts, size = [], 0
    try:
        for part in parts():
            texts.append(part)
            size += len(part)
            budget.spend()
            if size > longest:
                raise TooMuch(f"it makes more than {longest:,} characters")
    except TemplateSyntaxError as error:
        raise BadInput(f"{where}: line {error.lineno}: {error.message}") from error
    except (TemplateError, TooMuch) as error:
        raise BadInput(f"{where}: {error}") from error
    except (TypeError, ValueError, ArithmeticError, RecursionError, LookupError, SyntaxError, MemoryError) as error:
        raise BadInput(f"{where}: {error or type(error).__name__}") from error
    return "".join(texts)
