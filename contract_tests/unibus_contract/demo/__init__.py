"""The order program: one ordinary service, unchanged on every broker."""
