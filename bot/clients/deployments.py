"""The former place of `bot.clients.unset`."""

from bot.clients.unset import Unset, none_if_blank

__all__ = ["Unset", "none_if_blank"]
