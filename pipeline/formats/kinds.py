"""Which kinds of files are checked alike: from PUID and media type to a kind."""

from __future__ import annotations

from enum import StrEnum

from packages.package_file import FileFormat

__all__ = ["Kind", "kind_of", "kind_of_name"]


class Kind(StrEnum):
    """A family of formats that one check understands."""

    PDF = "pdf"
    IMAGE = "image"  # what Pillow decodes whole
    JP2 = "jp2"
    XML = "xml"
    ZIP = "zip"
    OPC = "opc"  # Office Open XML and its relatives
    ODF = "odf"
    OFD = "ofd"
    SIARD = "siard"
    EPUB = "epub"
    GZIP = "gzip"
    TAR = "tar"
    MEDIA = "media"  # sound and moving images
    TEXT = "text"


_BY_PUID = {
    "local/ofd": Kind.OFD,
    "local/ofd-a": Kind.OFD,
    "local/uof-1": Kind.XML,
    "local/uof-2": Kind.ZIP,
    "local/eep": Kind.XML,
    "fmt/161": Kind.SIARD,
    "fmt/995": Kind.SIARD,
    "fmt/1196": Kind.SIARD,
    "fmt/1777": Kind.SIARD,
    "fmt/414": Kind.MEDIA,  # AIFF, which PRONOM gives no media type
    "fmt/712": Kind.MEDIA,  # RF64
    "fmt/875": Kind.XML,
    "x-fmt/111": Kind.TEXT,
}
_BY_MIME = {
    "application/pdf": Kind.PDF,
    "image/tiff": Kind.IMAGE,
    "image/jpeg": Kind.IMAGE,
    "image/png": Kind.IMAGE,
    "image/gif": Kind.IMAGE,
    "image/bmp": Kind.IMAGE,
    "image/webp": Kind.IMAGE,
    "image/jp2": Kind.JP2,
    "application/xml": Kind.XML,
    "text/xml": Kind.XML,
    "image/svg+xml": Kind.XML,
    "application/xhtml+xml": Kind.XML,
    "application/zip": Kind.ZIP,
    "application/oxps": Kind.OPC,
    "application/epub+zip": Kind.EPUB,
    "application/gzip": Kind.GZIP,
    "application/x-tar": Kind.TAR,
}
_BY_START = {
    "application/vnd.openxmlformats-officedocument.": Kind.OPC,
    "application/vnd.oasis.opendocument.": Kind.ODF,
    "audio/": Kind.MEDIA,
    "video/": Kind.MEDIA,
}


_BY_EXTENSION = {
    "pdf": Kind.PDF, "ofd": Kind.OFD, "siard": Kind.SIARD, "jp2": Kind.JP2, "epub": Kind.EPUB,
    "docx": Kind.OPC, "xlsx": Kind.OPC, "pptx": Kind.OPC, "odt": Kind.ODF, "ods": Kind.ODF,
    "odp": Kind.ODF, "zip": Kind.ZIP, "gz": Kind.GZIP, "tar": Kind.TAR,
}  # fmt: skip


def kind_of_name(name: str) -> Kind | None:
    """What a file's extension claims, for those that nothing recognises."""
    return _BY_EXTENSION.get(name.rpartition(".")[2].lower())


def kind_of(known: FileFormat) -> Kind | None:
    """The kind of a format; None where nothing here checks it."""
    if known.puid in _BY_PUID:
        return _BY_PUID[known.puid]
    if known.mime in _BY_MIME:
        return _BY_MIME[known.mime]
    return next((kind for start, kind in _BY_START.items() if known.mime.startswith(start)), None)
