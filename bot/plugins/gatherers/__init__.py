"""What is found out about an incident: one file each, with `Params`, `Plugin(kit, params)` and a docstring that is its reference documentation."""
