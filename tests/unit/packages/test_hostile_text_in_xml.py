"""Every field of every record that becomes XML is escaped where it is written, whoever filled it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from lxml import etree

from packages.mets.csip_writer import MetsHeader, Reference, representation_mets, root_mets
from packages.package_file import FileFormat, MetadataFile, PackageFile
from packages.premis import Agent, Event, Representation, RightsBasis, RightsStatement
from packages.premis.writer import package_premis, representation_premis

_HOSTILE = "x\"'<y>&amp;]]><!--%7f \t"
_PLAIN = "xyz"


def _filled(kind: Any, said: str, field: str = "") -> Any:
    """A record of a class with ``said`` in every text; whatever else it has, it has some of."""
    if kind is str:
        return f"representations/{said}/METS.xml" if field == "path" else said
    if kind in (int, float):
        return 1
    if kind is datetime:
        return datetime(2026, 1, 2, tzinfo=UTC)
    if kind is date:
        return date(2026, 1, 2)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if get_origin(kind) is tuple:
        inner = [one for one in get_args(kind) if one is not Ellipsis]
        return tuple(_filled(one, said) for one in inner)
    if get_args(kind):  # X | None
        return _filled(next(one for one in get_args(kind) if one is not type(None)), said)
    hints = get_type_hints(kind)
    values = {one.name: _filled(hints[one.name], said, one.name) for one in dataclasses.fields(kind)}
    return kind(**values)


def _root(said: str) -> Iterator[str]:
    file, reference = _filled(MetadataFile, said), _filled(Reference, said)
    return root_mets(
        header=_filled(MetsHeader, said), descriptive=(reference,), preservation=(reference,),
        documentation=(file,), schemas=(file,), representations=(file,),
    )  # fmt: skip


def _representation(said: str) -> Iterator[str]:
    return representation_mets(
        header=_filled(MetsHeader, said),
        premis=_filled(Reference, said),
        files=(_filled(PackageFile, said),),
    )


def _premis_of_files(said: str) -> Iterator[str]:
    return representation_premis(
        representation=_filled(Representation, said), entity=said, files=(_filled(PackageFile, said),),
        events=(_filled(Event, said),), agents=(_filled(Agent, said),),
    )  # fmt: skip


def _premis_of_package(said: str) -> Iterator[str]:
    rights = [dataclasses.replace(_filled(RightsStatement, said), basis=basis) for basis in RightsBasis]
    return package_premis(
        entity=said, name=said, representations=(_filled(Representation, said),),
        events=(_filled(Event, said),), agents=(_filled(Agent, said),), rights=rights,
    )  # fmt: skip


@pytest.mark.parametrize("write", [_root, _representation, _premis_of_files, _premis_of_package])
def test_no_field_becomes_markup(write: Callable[[str], Iterator[str]]) -> None:
    """The document has the same elements and attributes as with plain text, and says what was said."""
    plain, hostile = (
        list(etree.fromstring("".join(write(said)).encode()).iter()) for said in (_PLAIN, _HOSTILE)
    )
    assert [(one.tag, list(one.attrib)) for one in hostile] == [
        (one.tag, list(one.attrib)) for one in plain
    ]
    written = 0
    for before, after in zip(plain, hostile, strict=True):
        for was, now in zip(_texts(before), _texts(after), strict=True):
            if _PLAIN in was:
                written += 1
                assert "y" in now and "<" in now.replace("%3C", "<"), (before.tag, now)
            else:
                assert was == now
    assert written > 10, "the records' texts are in the document"


def _texts(element: etree._Element) -> list[str]:
    return [element.text or "", *(str(value) for value in element.attrib.values())]


def test_the_records_are_filled() -> None:
    """The test would show nothing about a field that it leaves empty."""
    file = _filled(PackageFile, _HOSTILE)
    assert isinstance(file.format, FileFormat)
    assert file.format.registry is not None
    assert all(value for value in dataclasses.asdict(file.format).values() if isinstance(value, str))
