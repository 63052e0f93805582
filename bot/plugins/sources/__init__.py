"""Webhook formats. One file = one format: `Params`, and `parse`, a pure function from a body to alerts."""
