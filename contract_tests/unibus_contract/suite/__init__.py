"""The tests, by family; each function proves the one clause that its decorator names."""
