"""Saboteurs: brokers with one defect each, which the suite has to find."""
