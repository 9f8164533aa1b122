"""Foreign programs run with as little as they need: their input, their output, no network, no secrets.

What a file refers to is never followed, because it cannot be: a tool that an agency's file talks into
opening another file, or an address, gets an error. ``docs/howto/secure.md`` says what holds where.
"""

from pipeline.confinement.answering import MAX_ANSWERING_BYTES, answer_confined
from pipeline.confinement.command import ConfinementState, confined, confinement, environment
from pipeline.confinement.launcher import (
    end_with_parent,
    enter_landlock,
    landlock_abi,
    leave_network,
    limit,
    read_only,
)

__all__ = [
    "MAX_ANSWERING_BYTES",
    "ConfinementState",
    "answer_confined",
    "confined",
    "confinement",
    "end_with_parent",
    "enter_landlock",
    "environment",
    "landlock_abi",
    "leave_network",
    "limit",
    "read_only",
]
