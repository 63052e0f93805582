"""Slack to flow: commands, clicks and modals are translated, the flow is called, its words are the reply."""
