"""The deterministic state machine: no threads, no locks, no clock of its own."""
