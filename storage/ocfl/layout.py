"""Where an object lives below the storage root. One small class per registered layout extension."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol
from urllib.parse import unquote

from packages.paths import is_portable
from storage.ocfl.digests import hex_length, new_hasher

NAMASTE_ROOT = ("0=ocfl_1.1", b"ocfl_1.1\n")
NAMASTE_OBJECT = ("0=ocfl_object_1.1", b"ocfl_object_1.1\n")


class LayoutInvalid(ValueError):
    """The parameters of a layout are not those its extension allows."""


class Layout(Protocol):
    """A rule that gives every object id one place."""

    def object_root(self, object_id: str) -> str:
        """The key prefix of an object, without trailing slash. Raises ValueError if it has none."""


@dataclass(frozen=True, slots=True)
class FlatDirectLayout:
    """Extension 0002-flat-direct-storage-layout.

    1. The object id, unchanged, is the folder.
    """

    name: ClassVar[str] = "0002-flat-direct-storage-layout"

    def object_root(self, object_id: str) -> str:
        """See the protocol."""
        return object_id


@dataclass(frozen=True, slots=True)
class HashAndIdLayout:
    """Extension 0003-hash-and-id-n-tuple-storage-layout.

    1. Digest of the object id, hexadecimal. 2. Its first tuples as folders.
    3. The id itself, every byte outside ``[A-Za-z0-9_-]`` percent-encoded in lower-case hex;
    longer than 100 characters, it is cut there and ``-`` and the digest are added.
    """

    name: ClassVar[str] = "0003-hash-and-id-n-tuple-storage-layout"
    description: ClassVar[str] = "Hash tuples, then the percent-encoded object id"

    digest_algorithm: str = "sha256"
    tuple_size: int = 3
    number_of_tuples: int = 3

    def __post_init__(self) -> None:
        _check_tuples(self.digest_algorithm, self.tuple_size, self.number_of_tuples)

    def object_root(self, object_id: str) -> str:
        """See the protocol."""
        digest = _digest(self.digest_algorithm, object_id)
        encoded = re.sub(
            "[^A-Za-z0-9_-]",
            lambda m: "".join(f"%{byte:02x}" for byte in m.group().encode()),
            object_id,
        )
        if len(encoded) > 100:
            encoded = f"{encoded[:100]}-{digest}"
        return "/".join((*_tuples(digest, self.tuple_size, self.number_of_tuples), encoded))

    def object_id(self, root: str) -> str | None:
        """The id whose object belongs at a root; None for a root of another making."""
        found = unquote(root.rpartition("/")[2], errors="replace")
        return found if self.object_root(found) == root else None

    def is_ours(self, folder: str) -> bool:
        """Whether a folder is an object root of this layout, or one of the tuples on the way to it."""
        parts = folder.split("/")
        if len(parts) > self.number_of_tuples:
            return self.object_id(folder) is not None
        return all(re.fullmatch(f"[0-9a-f]{{{self.tuple_size}}}", part) for part in parts)

    def root_files(self) -> dict[str, bytes]:
        """What a storage root with this layout carries, by key."""
        config = {
            "extensionName": self.name,
            "digestAlgorithm": self.digest_algorithm,
            "tupleSize": self.tuple_size,
            "numberOfTuples": self.number_of_tuples,
        }
        layout = {"extension": self.name, "description": self.description}
        return {
            f"extensions/{self.name}/config.json": json.dumps(config, indent=2).encode() + b"\n",
            "ocfl_layout.json": json.dumps(layout, indent=2).encode() + b"\n",
            NAMASTE_ROOT[0]: NAMASTE_ROOT[1],
        }


@dataclass(frozen=True, slots=True)
class HashedLayout:
    """Extension 0004-hashed-n-tuple-storage-layout.

    1. Digest of the object id, hexadecimal. 2. Its first tuples as folders.
    3. The whole digest, or with ``short_object_root`` what the tuples left of it.
    """

    name: ClassVar[str] = "0004-hashed-n-tuple-storage-layout"

    digest_algorithm: str = "sha256"
    tuple_size: int = 3
    number_of_tuples: int = 3
    short_object_root: bool = False

    def __post_init__(self) -> None:
        _check_tuples(self.digest_algorithm, self.tuple_size, self.number_of_tuples)
        used = self.tuple_size * self.number_of_tuples
        if self.short_object_root and used == hex_length(self.digest_algorithm):
            raise LayoutInvalid("shortObjectRoot leaves nothing for the last folder")

    def object_root(self, object_id: str) -> str:
        """See the protocol."""
        digest = _digest(self.digest_algorithm, object_id)
        used = self.tuple_size * self.number_of_tuples if self.short_object_root else 0
        return "/".join((*_tuples(digest, self.tuple_size, self.number_of_tuples), digest[used:]))


@dataclass(frozen=True, slots=True)
class FlatOmitPrefixLayout:
    """Extension 0006-flat-omit-prefix-storage-layout.

    1. The part of the object id after the last delimiter (in any case) is the folder.
    """

    name: ClassVar[str] = "0006-flat-omit-prefix-storage-layout"

    delimiter: str

    def __post_init__(self) -> None:
        if not self.delimiter:
            raise LayoutInvalid("delimiter is empty")

    def object_root(self, object_id: str) -> str:
        """See the protocol."""
        return _without_prefix(object_id, self.delimiter)


@dataclass(frozen=True, slots=True)
class TupleOmitPrefixLayout:
    """Extension 0007-n-tuple-omit-prefix-storage-layout.

    1. The part of the object id after the last delimiter (in any case).
    2. Where shorter than all tuples together, zeros are added on one side; then it may be reversed.
    3. Its first tuples as folders. 4. The part of step 1.
    """

    name: ClassVar[str] = "0007-n-tuple-omit-prefix-storage-layout"

    delimiter: str = ":"
    tuple_size: int = 3
    number_of_tuples: int = 3
    zero_padding: str = "left"
    reverse_object_root: bool = False

    def __post_init__(self) -> None:
        if not self.delimiter:
            raise LayoutInvalid("delimiter is empty")
        if not (1 <= self.tuple_size <= 32 and 1 <= self.number_of_tuples <= 32):
            raise LayoutInvalid("tupleSize and numberOfTuples are 1 to 32")
        if self.zero_padding not in ("left", "right"):
            raise LayoutInvalid("zeroPadding is “left” or “right”")

    def object_root(self, object_id: str) -> str:
        """See the protocol."""
        if not object_id.isascii():
            raise ValueError("this layout is for ASCII identifiers")
        rest = _without_prefix(object_id, self.delimiter)
        width = self.tuple_size * self.number_of_tuples
        padded = rest.rjust(width, "0") if self.zero_padding == "left" else rest.ljust(width, "0")
        if self.reverse_object_root:
            padded = padded[::-1]
        return "/".join((*_tuples(padded, self.tuple_size, self.number_of_tuples), rest))


_Known = FlatDirectLayout | HashAndIdLayout | HashedLayout | FlatOmitPrefixLayout | TupleOmitPrefixLayout

LAYOUTS: Mapping[str, type[_Known]] = {
    FlatDirectLayout.name: FlatDirectLayout,
    HashAndIdLayout.name: HashAndIdLayout,
    HashedLayout.name: HashedLayout,
    FlatOmitPrefixLayout.name: FlatOmitPrefixLayout,
    TupleOmitPrefixLayout.name: TupleOmitPrefixLayout,
}
"""The layouts we can compute, by the name ``ocfl_layout.json`` gives."""

_PARAMETERS: Mapping[str, tuple[str, type]] = {
    "digestAlgorithm": ("digest_algorithm", str),
    "tupleSize": ("tuple_size", int),
    "numberOfTuples": ("number_of_tuples", int),
    "shortObjectRoot": ("short_object_root", bool),
    "delimiter": ("delimiter", str),
    "zeroPadding": ("zero_padding", str),
    "reverseObjectRoot": ("reverse_object_root", bool),
}


def read_layout(name: str, config: Mapping[str, Any]) -> Layout | None:
    """The layout of a storage root from its ``config.json``; None for one we do not know.

    Raises LayoutInvalid for parameters the extension does not allow.
    """
    kind = LAYOUTS.get(name)
    if kind is None:
        return None
    if config.get("extensionName", name) != name:
        raise LayoutInvalid("extensionName is that of another extension")
    taken = {field.name for field in fields(kind)}
    arguments: dict[str, Any] = {}
    for key, (argument, wanted) in _PARAMETERS.items():
        if key in config and argument in taken:
            if type(config[key]) is not wanted:  # exactly: True is an int to isinstance
                raise LayoutInvalid(f"{key} has the wrong type")
            arguments[argument] = config[key]
    try:
        return kind(**arguments)
    except TypeError as error:
        raise LayoutInvalid("a parameter without default is missing") from error


def _check_tuples(algorithm: str, size: int, number: int) -> None:
    length = hex_length(algorithm)
    if length is None:
        raise LayoutInvalid("digestAlgorithm is none OCFL names")
    if not (0 <= size <= 32 and 0 <= number <= 32) or (size == 0) != (number == 0):
        raise LayoutInvalid("tupleSize and numberOfTuples are both 0, or both 1 to 32")
    if size * number > length:
        raise LayoutInvalid("the tuples are longer than the digest")


def _digest(algorithm: str, object_id: str) -> str:
    hasher = new_hasher(algorithm)
    assert hasher is not None, "checked when the layout was made"
    hasher.update(object_id.encode())
    return hasher.hexdigest()


def _tuples(text: str, size: int, number: int) -> list[str]:
    return [text[i * size : (i + 1) * size] for i in range(number)]


def _without_prefix(object_id: str, delimiter: str) -> str:
    # Not str.lower: it may change the length, and with it where the rest begins.
    matches = list(re.finditer(f"(?i:(?={re.escape(delimiter)}))", object_id))
    if not matches:
        return object_id
    rest = object_id[matches[-1].start() + len(delimiter) :]
    if not rest:
        raise ValueError("the identifier ends with the delimiter")
    return rest


def content_path(version: str, logical: str, sha512: str, *, opaque: bool) -> str:
    """Where a file's bytes go inside its object.

    A logical path that is portable stays readable; any other (and all of them where an agreement
    asks for it, because keys leak titles) becomes a name made from the digest.
    """
    if opaque or not is_portable(logical):
        return f"{version}/content/opaque/{sha512[:2]}/{sha512[2:66]}"
    return f"{version}/content/{logical}"
