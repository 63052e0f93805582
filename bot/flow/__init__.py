"""What the program does, one use case a function: read, decide (domain), save. Knows the outside only through domain/ports.py."""
