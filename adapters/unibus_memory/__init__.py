"""The reference broker for unibus, in this process; its store so far."""
