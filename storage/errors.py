"""Errors of the storage layer.

StorageError
├── StoreUnavailable     the store cannot be reached or used now; trying later may help
│   └── StoreRefused     it answered, and refused us (credentials, permission, full): trying will not help
├── StoreDangerous       its server was seen to destroy or falsify objects: nothing is archived there
├── ObjectMissing        no object under this key
├── ObjectExists         there is one already, and nothing is ever overwritten
├── WriteMismatch        the store does not hold the bytes we meant to write
├── InventoryUnreadable  an OCFL inventory is damaged or of a kind we cannot read
├── HoldStands           a legal hold for another reason is on the package
├── Busy                 another process works on the same package
└── LeaseLost            this process worked on a package, and another has taken it over
"""

from __future__ import annotations


class StorageError(Exception):
    """Base of this layer."""


class StoreUnavailable(StorageError):
    """The store cannot be used now."""

    def __init__(self, store: str, reason: str) -> None:
        super().__init__(f"storage “{store}” cannot be used: {reason}")
        self.store = store
        self.reason = reason


class StoreRefused(StoreUnavailable):
    """The store answered and refused: credentials, permission, no space."""


class StoreDangerous(StorageError):
    """The store's server destroys or falsifies objects; there is no switch to use it nevertheless."""

    def __init__(self, store: str, reasons: tuple[str, ...]) -> None:
        super().__init__(f"storage “{store}” is not fit for an archive: {' '.join(reasons)}")
        self.store = store
        self.reasons = reasons


class ObjectMissing(StorageError):
    """No object under this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no object {key}")
        self.key = key


class ObjectExists(StorageError):
    """An object of this key is there already."""

    def __init__(self, key: str) -> None:
        super().__init__(f"object {key} exists already")
        self.key = key


class WriteMismatch(StorageError):
    """What arrived is not what was sent."""

    def __init__(self, key: str, *, expected: str, found: str) -> None:
        super().__init__(f"object {key}: expected {expected}, the store holds {found}")
        self.key = key
        self.expected = expected
        self.found = found


class InventoryUnreadable(StorageError):
    """An OCFL inventory cannot be trusted; ``code`` is the specification's."""

    def __init__(self, key: str, *, code: str, reason: str) -> None:
        super().__init__(f"{key}: {code} {reason}")
        self.key = key
        self.code = code
        self.reason = reason


class Busy(StorageError):
    """Another live process holds the package; trying again when it has ended will help."""

    def __init__(self, subject: str, owner: str) -> None:
        super().__init__(f"{subject} is in use by {owner}; try again when that has ended")
        self.subject = subject
        self.owner = owner


class HoldStands(StorageError):
    """A hold for another reason stands on the AIP, and is not replaced."""

    def __init__(self, aip: str, *, reason: str, person: str, since: str) -> None:
        super().__init__(f"a hold stands on {aip} already: {reason} (placed by {person}, {since})")


class LeaseLost(StorageError):
    """The lease was lost, so nothing more was written; whoever has it now finishes the work."""

    def __init__(self, resource: str) -> None:
        super().__init__(
            f"the lease on {resource} was lost (no heartbeat for too long); nothing more was written. "
            "Run the same command again."
        )
        self.resource = resource
