"""The contract suite: says of each broker what it really promises, and is able to fail."""
