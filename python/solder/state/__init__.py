"""State as a value, and what a block changed in it.

``State`` is immutable: whatever is set or executed gives a new one that shares everything else. ``ChangeSet`` holds the
old and the new value of each field, resets and touches; diff, undo and digest are read from it. ``Sandbox`` is a place
where one state follows another.
"""

from solder._native import Account, AccountChange, ChangeSet
from solder.state.asynchronous import AsyncState, in_thread
from solder.state.snapshot import Identity, Sandbox, State

__all__ = ["Account", "AccountChange", "AsyncState", "ChangeSet", "Identity", "Sandbox", "State", "in_thread"]
