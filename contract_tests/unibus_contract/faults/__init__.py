"""Ways to make a broker or the network suffer, for harnesses to use."""
