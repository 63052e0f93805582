"""Thin typed wrappers over what is outside: each call is bounded in time and size, and fails with BadInput, TryLater or GaveUp."""
