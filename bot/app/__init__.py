"""The whole program: built of the configuration (`built`), run (`serve`), closed in reverse. Used by the command line and by whole-program tests."""

from bot.app.building import OpenStore, built, now
from bot.app.parts import Current, Tocsin
from bot.app.serving import entrances, serve
from bot.app.what_there_is import registry, rules_of

__all__ = ["Current", "OpenStore", "Tocsin", "built", "entrances", "now", "registry", "rules_of", "serve"]
