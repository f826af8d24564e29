"""State as a value, and what a block changed in it.

``State`` is immutable from here: ``apply`` gives a new one. ``ChangeSet`` holds the old and the new value of each
field, resets and touches; diff, undo and digest are read from it.
"""

from solder._native import Account, AccountChange, ChangeSet, State

__all__ = ["Account", "AccountChange", "ChangeSet", "State"]
