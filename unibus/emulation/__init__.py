"""What a broker lacks and unibus adds, as layers round a receiver; see ``stack``.

Each layer is a module with three things: ``is_needed(capabilities, subscription)``,
``transform(capabilities, subscription)``, which writes what it adds and at what cost, and a class
that does it.
"""
