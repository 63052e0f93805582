"""Media that tell people. One file = one medium: `KIND`, `Params`, and `Plugin` with `send`, which sends once (bot.domain.oncall_ports.Medium)."""
