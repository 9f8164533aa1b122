"""An OCFL inventory of any number of files, as a stream."""

from __future__ import annotations

from collections.abc import Iterator


def large_inventory(files: int) -> Iterator[bytes]:
    """An inventory of v1 with ``files`` files, as Stele writes it."""
    yield b'{\n "contentDirectory": "content",\n "digestAlgorithm": "sha512",\n "head": "v1",\n "id": "x",\n "manifest": {\n'
    for number in range(files):
        path = f"data/box {number % 97:05}/folder {number // 97:06}/record {number:08}.pdf"
        yield f'{"," if number else ""}  "{number:0128x}": ["v1/content/{path}"]\n'.encode()
    yield b' },\n "versions": {\n  "v1": {\n   "created": "2026",\n   "message": "",\n   "state": {\n'
    for number in range(files):
        path = f"data/box {number % 97:05}/folder {number // 97:06}/record {number:08}.pdf"
        yield f'{"," if number else ""}  "{number:0128x}": ["{path}"]\n'.encode()
    yield b'   },\n   "user": {}\n  }\n }\n}\n'
