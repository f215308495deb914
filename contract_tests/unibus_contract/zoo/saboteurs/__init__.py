"""The saboteurs, by what they spoil; each module is found by being here."""
