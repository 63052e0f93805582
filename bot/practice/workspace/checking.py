"""What is wrong with a piece of Block Kit, in Slack's words, each with its JSON pointer. Used by blocks.py."""

from __future__ import annotations

from collections.abc import Iterator

from bot.practice.workspace.calls import Json


class Check:
    """Collects what is wrong, each with the JSON pointer to it."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def wrong(self, what: str, at: str) -> None:
        """Note one error."""
        self.errors.append(f"{what} [json-pointer:{at}]")

    def length(self, value: str, most: int, at: str, least: int = 1) -> None:
        """A string's length, in Slack's words."""
        if len(value) > most:
            self.wrong(f"must be less than {most + 1} characters", at)
        elif len(value) < least:
            self.wrong(f"must be more than {least - 1} characters", at)

    def string(self, owner: Json, name: str, most: int, at: str, *, needed: bool = False) -> None:
        """An optional or required string field."""
        value = owner.get(name)
        if value is None:
            if needed:
                self.wrong(f"missing required field: {name}", at)
        elif not isinstance(value, str):
            self.wrong("must be a string", f"{at}/{name}")
        else:
            self.length(value, most, f"{at}/{name}", least=1 if needed else 0)

    def text(self, owner: Json, name: str, most: int, at: str, *, plain: bool = False, needed: bool = True) -> None:
        """A text object."""
        value = owner.get(name)
        if value is None:
            if needed:
                self.wrong(f"missing required field: {name}", at)
            return
        before = len(self.errors)
        where = f"{at}/{name}"
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            self.wrong("must be a valid text object", where)
        elif value.get("type") not in ({"plain_text"} if plain else {"plain_text", "mrkdwn"}):
            self.wrong("must be one of: plain_text" + ("" if plain else ", mrkdwn"), f"{where}/type")
        else:
            self.length(value["text"], most, f"{where}/text")
        if len(self.errors) > before:  # Slack says first that no schema fits, then why
            self.errors.insert(before, f"failed to match all allowed schemas [json-pointer:{where}]")

    def items(self, owner: Json, name: str, most: int, at: str) -> Iterator[tuple[Json, str]]:
        """The dictionaries in a list field, each with its pointer."""
        value = owner.get(name)
        where = f"{at}/{name}"
        if not isinstance(value, list):
            self.wrong(f"missing required field: {name}" if value is None else "must be an array", at)
            return
        if len(value) > most:
            self.wrong(f"no more than {most} items allowed", where)
        if not value:
            self.wrong("must have at least 1 items", where)
        for index, item in enumerate(value):
            if isinstance(item, dict):
                yield item, f"{where}/{index}"
            else:
                self.wrong("must be an object", f"{where}/{index}")

    def options(self, element: Json, most: int, at: str, name: str = "options") -> None:
        """The options of a select, an overflow menu, checkboxes or radio buttons."""
        for option, where in self.items(element, name, most, at):
            self.text(option, "text", 75, where)
            self.string(option, "value", 150, where, needed=True)
            self.text(option, "description", 75, where, needed=False)
