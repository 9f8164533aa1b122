"""Where an object lives below the storage root. One value per registered layout extension."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from packages.paths import is_portable

NAMASTE_ROOT = ("0=ocfl_1.1", b"ocfl_1.1\n")
NAMASTE_OBJECT = ("0=ocfl_object_1.1", b"ocfl_object_1.1\n")


@dataclass(frozen=True, slots=True)
class HashAndIdLayout:
    """Extension 0003-hash-and-id-n-tuple-storage-layout with its default parameters.

    1. SHA-256 of the object id, hexadecimal. 2. Three tuples of three characters as folders.
    3. The id itself, every byte outside ``[A-Za-z0-9_-]`` percent-encoded in lower-case hex.
    """

    name = "0003-hash-and-id-n-tuple-storage-layout"
    description = "Hash tuples, then the percent-encoded object id"

    def object_root(self, object_id: str) -> str:
        """The key prefix of an object, without trailing slash."""
        digest = hashlib.sha256(object_id.encode()).hexdigest()
        encoded = re.sub(
            "[^A-Za-z0-9_-]",
            lambda m: "".join(f"%{byte:02x}" for byte in m.group().encode()),
            object_id,
        )
        if len(encoded) > 100:
            encoded = f"{encoded[:100]}-{digest}"
        return "/".join((digest[0:3], digest[3:6], digest[6:9], encoded))

    def root_files(self) -> dict[str, bytes]:
        """What a storage root with this layout carries, by key."""
        config = {
            "extensionName": self.name,
            "digestAlgorithm": "sha256",
            "tupleSize": 3,
            "numberOfTuples": 3,
        }
        layout = {"extension": self.name, "description": self.description}
        return {
            f"extensions/{self.name}/config.json": json.dumps(config, indent=2).encode() + b"\n",
            "ocfl_layout.json": json.dumps(layout, indent=2).encode() + b"\n",
            NAMASTE_ROOT[0]: NAMASTE_ROOT[1],
        }


def content_path(version: str, logical: str, sha512: str, *, opaque: bool) -> str:
    """Where a file's bytes go inside its object.

    A logical path that is portable stays readable; any other (and all of them where an agreement
    asks for it, because keys leak titles) becomes a name made from the digest.
    """
    if opaque or not is_portable(logical):
        return f"{version}/content/opaque/{sha512[:2]}/{sha512[2:66]}"
    return f"{version}/content/{logical}"
