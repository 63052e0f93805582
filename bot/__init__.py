"""Tocsin: an incident responder that lives in Slack."""

__version__ = "0.1.0"
