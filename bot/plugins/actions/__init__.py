"""What a runbook step can do: one file each, with `Params`, `Plugin(kit)` and a docstring that is its reference documentation."""
