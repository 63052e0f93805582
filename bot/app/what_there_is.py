"""What the configuration is validated by, and what the decisions need of it. Used by everything that loads a configuration."""

from __future__ import annotations

from pydantic import BaseModel

from bot.config import ActionFacts, Config, Registry
from bot.config.channels import ChannelFacts
from bot.config.sources import SenderFacts
from bot.domain.catalogue import Service
from bot.domain.contact import SLACK
from bot.domain.media import SLACK_RULES
from bot.domain.rules import Rules
from bot.plugins import discover


def registry() -> Registry:
    """The parameter models of all plugins, by which the configuration is validated."""

    def params(kind: str) -> dict[str, type[BaseModel]]:
        return {name: module.Params for name, module in discover(kind).items()}

    about = {name: ActionFacts.of(module) for name, module in discover("actions").items()}
    senders = {name: SenderFacts.of(module) for name, module in discover("sources").items()}
    media = {name: ChannelFacts.of(module) for name, module in discover("channels").items()}
    return Registry(
        params("sources"), params("actions"), params("gatherers"), about, senders, params("channels"), media
    )


def rules_of(config: Config) -> Rules:
    """What the decisions need of the configuration."""
    return Rules(
        signal=config.signal,
        escalations=config.policies,
        default_escalation=config.signal.routing.root.policy,
        directory=config.directory,
        services={
            name: Service(
                name=name,
                owner=one.owner,
                dashboards=one.dashboards,
                targets=one.targets.given,
                depends_on=one.depends_on,
            )
            for name, one in config.services.items()
        },
        runbooks=config.runbooks,
        actions=config.policy,
        auto_resolve=config.auto_resolve,
        digest=config.digest,
        media={SLACK: SLACK_RULES, **{name: one.rules for name, one in config.media.items()}},
        last_resort=config.last_resort,
        keep_log=config.keep_log,
    )
