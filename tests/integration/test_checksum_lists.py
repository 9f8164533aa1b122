"""Checksum lists among the files: compared, or said not to be."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from pipeline.ingest.run import check

_A, _B = b"alpha", b"beta"


def _sum(content: bytes, name: str = "sha512") -> str:
    return hashlib.new(name, content).hexdigest()


def _found(make_bag: Any, agreement: Any, archive: Any, **files: bytes) -> dict[str, Any]:
    content = {"a.txt": _A, "sub/b.txt": _B, **files}
    result = check(
        make_bag({name.replace("__", "/"): data for name, data in content.items()}), agreement, archive
    )
    assert result.outcome == "acceptable", result.problems
    return {p.code: p for p in result.problems if p.code.startswith("LIST-")}


_LISTS = {
    "GNU": f"{_sum(_A)}  a.txt\n{_sum(_B)} *sub/b.txt\n",
    "BSD": f"SHA512 (a.txt) = {_sum(_A)}\nSHA512 (./sub/b.txt) = {_sum(_B)}\n",
    "of Windows": f"{_sum(_A).upper()}  a.txt\r\n{_sum(_B)}  sub\\b.txt\r\n",
    "from above": f"# made 2019\n{_sum(_A)}  data/a.txt\n{_sum(_B)}  data/sub/b.txt\n",
}


@pytest.mark.parametrize("text", _LISTS.values(), ids=_LISTS.keys())
def test_a_list_that_agrees(text: str, make_bag: Any, agreement: Any, archive: Any) -> None:
    """In every form in which such lists come."""
    found = _found(make_bag, agreement, archive, SHA512SUMS=text.encode())
    assert {code: p.found for code, p in found.items()} == {"LIST-AGREES": "2"}


def test_a_list_that_does_not(make_bag: Any, agreement: Any, archive: Any) -> None:
    """Files that changed and files that are not there, by name; the package is taken all the same."""
    text = f"{_sum(b'before')}  a.txt\n{_sum(_B)}  gone.txt\n"
    found = _found(make_bag, agreement, archive, **{"checksums.txt": text.encode()})
    assert found["LIST-MISMATCH"].found == "data/a.txt"
    assert found["LIST-MISSING"].found == "data/gone.txt"


def test_a_sum_beside_its_file(make_bag: Any, agreement: Any, archive: Any) -> None:
    """``a.txt.sha512`` with nothing but the digest."""
    found = _found(make_bag, agreement, archive, **{"a.txt.sha512": _sum(_A).encode()})
    assert {code: p.path for code, p in found.items()} == {"LIST-AGREES": "data/a.txt.sha512"}


def test_what_cannot_be_compared_is_said(make_bag: Any, agreement: Any, archive: Any) -> None:
    """A list by an algorithm that no manifest uses."""
    found = _found(
        make_bag, agreement, archive, **{"sub__md5sum.txt": f"{_sum(_B, 'md5')}  b.txt\n".encode()}
    )
    assert {code: (p.path, p.found) for code, p in found.items()} == {
        "LIST-NOT-COMPARED": ("data/sub/md5sum.txt", "MD5")
    }


@pytest.mark.parametrize("text", [b"nothing of the kind", b"", b"\xff\xfe", b"deadbeef  a.txt\n"])
def test_what_is_no_list(text: bytes, make_bag: Any, agreement: Any, archive: Any) -> None:
    """A name alone makes no list."""
    assert _found(make_bag, agreement, archive, **{"md5.txt": text}) == {}
