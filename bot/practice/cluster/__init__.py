"""A small Kubernetes that behaves as the real one where Tocsin uses it: `Cluster(now)`, served by its `app()`."""

from bot.practice.cluster.api import Seen
from bot.practice.cluster.auth import ADMIN, Rule, User, bot, reader
from bot.practice.cluster.faults import Fault
from bot.practice.cluster.world import Cluster, manifest

__all__ = ["ADMIN", "Cluster", "Fault", "Rule", "Seen", "User", "bot", "manifest", "reader"]
