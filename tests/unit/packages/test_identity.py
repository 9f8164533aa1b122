"""Identifiers and digests."""

import hashlib

import pytest

from packages.digest import DigestAlgorithm, MultiHasher
from packages.identifiers import IngestId, PackageId


def test_three_spellings_of_one_identity() -> None:
    """URN, OBJID and bare UUID parse to the same."""
    package = IngestId("x").package_id()
    assert {PackageId.parse(s) for s in (package.urn, package.objid, str(package.uuid))} == {package}


def test_the_same_submission_has_the_same_identity() -> None:
    """And a change of any of the three facts gives another."""
    facts = {"agreement": "a", "external_identifier": "1", "content_digest": "d"}
    base = IngestId.derive(**facts)
    assert IngestId.derive(**facts) == base
    for name in facts:
        assert IngestId.derive(**{**facts, name: "other"}) != base


def test_fields_cannot_be_confused() -> None:
    """Moving characters from one fact to the next is a difference."""
    one = IngestId.derive(agreement="ab", external_identifier="c", content_digest="d")
    two = IngestId.derive(agreement="a", external_identifier="bc", content_digest="d")
    assert one != two


@pytest.mark.parametrize("algorithm", DigestAlgorithm)
def test_one_pass_computes_each(algorithm: DigestAlgorithm) -> None:
    """In pieces or whole, the digest has the algorithm's length and value."""
    hasher = MultiHasher([algorithm, DigestAlgorithm.SHA512])
    hasher.update(b"ab")
    hasher.update(b"c")
    digests = hasher.hexdigests()
    assert len(digests[algorithm]) == algorithm.hex_length
    assert digests[DigestAlgorithm.SHA512] == hashlib.sha512(b"abc").hexdigest()
    assert hasher.size == 3


@pytest.mark.parametrize("text", ["SHA-512", "sha512", "Sha_512"])
def test_spellings_of_an_algorithm(text: str) -> None:
    """METS and BagIt spell them differently."""
    assert DigestAlgorithm.parse(text) is DigestAlgorithm.SHA512


def test_an_unknown_algorithm_is_none() -> None:
    """Never an exception: a manifest may use what it likes."""
    assert DigestAlgorithm.parse("crc32") is None
