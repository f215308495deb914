"""What memory profiles promise in the name of other brokers, and how they behave."""
