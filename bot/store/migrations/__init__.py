"""The versions of the tables, in order. Run by schema.upgrade."""
