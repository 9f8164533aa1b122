"""Checks of the probe: do bytes, tags, names and metadata come back as they were given?"""

from __future__ import annotations

import hashlib
import os

from botocore.exceptions import ClientError

from storage.s3.probe.area import ProbeArea, reason_of
from storage.s3.probe.capabilities import Answer, Check, CheckName

_PART = 5 << 20  # the smallest part every server must take
_LONG = "x" * 200
_KEYS = ("odd/a b", "odd/urn%3auuid%3a1", "odd/数据", "odd/é", "odd/e\u0301", "odd/a+b&c", f"odd/{_LONG}")


def plain(area: ProbeArea) -> Check:
    """Some bytes, all values among them, and none at all."""
    content = bytes(range(256)) * 16
    area.put("plain", content)
    area.put("empty", b"")
    if (area.get("plain"), area.get("empty")) == (content, b""):
        return Check(CheckName.PLAIN, Answer.YES, "Objects come back as they were written.")
    sentence = "An object does not come back as it was written."
    return Check(CheckName.PLAIN, Answer.NO, sentence, dangerous=True)


def etag(area: ProbeArea) -> Check:
    """Whether a tag identifies bytes: this is what tells our own object from another's."""
    content = os.urandom(100)
    put = area.put("etag", content)["ETag"]
    head = area.client.head_object(Bucket=area.bucket, Key=area.root + "etag")["ETag"]
    other = area.put("etag", content + b"!")["ETag"]
    if put != head or put == other:
        return Check(CheckName.ETAG, Answer.NO, "The ETag does not identify the bytes.")
    md5 = put.strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest()
    kind = "it is their MD5" if md5 else "it is not their MD5"
    return Check(CheckName.ETAG, Answer.YES, f"The ETag identifies the bytes; {kind}.")


def range_get(area: ProbeArea) -> Check:
    """From, from-to, and the last bytes, across the sizes servers like to cut at."""
    content = os.urandom(70_000)
    area.put("range", content)
    wanted = {
        "bytes=5-9": content[5:10],
        "bytes=65530-65545": content[65530:65546],
        "bytes=69000-": content[69000:],
        "bytes=-7": content[-7:],
    }
    for asked, expected in wanted.items():
        try:
            got = area.get("range", Range=asked)
        except ClientError as error:
            sentence = f"A range ({asked}) is refused: {reason_of(error)}."
            return Check(CheckName.RANGE, Answer.NO, sentence)
        if got == content:
            return Check(
                CheckName.RANGE, Answer.NO, f"A range ({asked}) is answered with the whole object."
            )
        if got != expected:
            sentence = f"A range ({asked}) is answered with other bytes."
            return Check(CheckName.RANGE, Answer.NO, sentence, dangerous=True)
    return Check(CheckName.RANGE, Answer.YES, "Ranges give the bytes asked for.")


def multipart(area: ProbeArea) -> Check:
    """Two parts, sent last first, become the right object, also where they meet."""
    if area.parts_stay_locked:
        return Check(CheckName.MULTIPART, Answer.UNKNOWN, area.parts_stay_locked)
    parts = (os.urandom(_PART), os.urandom(1000))
    upload = area.begin("parts")
    key = area.root + "parts"
    tags = {
        number: area.client.upload_part(
            Bucket=area.bucket, Key=key, UploadId=upload, PartNumber=number, Body=parts[number - 1]
        )["ETag"]
        for number in (2, 1)
    }
    area.client.complete_multipart_upload(
        Bucket=area.bucket, Key=key, UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": n, "ETag": tags[n]} for n in (1, 2)]},
    )  # fmt: skip
    whole = b"".join(parts)
    seam = area.get("parts", Range=f"bytes={_PART - 5}-{_PART + 4}")
    if area.get("parts") == whole and seam == whole[_PART - 5 : _PART + 5]:
        return Check(CheckName.MULTIPART, Answer.YES, "An object sent in parts comes back whole.")
    sentence = "An object sent in parts comes back with other bytes."
    return Check(CheckName.MULTIPART, Answer.NO, sentence, dangerous=True)


def keys(area: ProbeArea) -> Check:
    """Names that occur in archives; each must be itself and nothing else, also in a listing."""
    failed = []
    for name in (*_KEYS, "both", "both/below"):
        try:
            area.put(name, name.encode())
            if area.get(name) != name.encode():
                failed.append(name)
        except Exception:
            failed.append(name)
    listed = area.client.list_objects_v2(Bucket=area.bucket, Prefix=area.root + "odd/")
    seen = [item["Key"].removeprefix(area.root) for item in listed.get("Contents", ())]
    failed += [name for name in sorted(_KEYS) if name not in seen and name not in failed]
    if failed:
        shown = ", ".join(repr(name[:20]) for name in failed)
        return Check(CheckName.KEYS, Answer.NO, f"These keys do not come back as given: {shown}.")
    if seen != sorted(_KEYS):
        return Check(CheckName.KEYS, Answer.NO, "Listings are not in code-point order.")
    return Check(CheckName.KEYS, Answer.YES, "Odd, non-ASCII and long keys come back as given, in order.")


def user_metadata(area: ProbeArea) -> Check:
    """How much is kept: nearly all that S3 allows, or a few hundred bytes a value."""
    for asked in ({"stele-a": "v" * 1900}, {f"stele-{n}": "v" * 250 for n in "abcd"}):
        try:
            area.put("metadata", b"x", Metadata=asked)
            head = area.client.head_object(Bucket=area.bucket, Key=area.root + "metadata")
        except ClientError:
            continue
        kept = {key.lower(): value for key, value in head["Metadata"].items()}
        if kept == asked:
            size = sum(len(value) for value in asked.values())
            longest = max(len(value) for value in asked.values())
            sentence = f"{size} bytes of user metadata are kept, {longest} in one value."
            return Check(CheckName.METADATA, Answer.YES, sentence)
    return Check(CheckName.METADATA, Answer.NO, "A kilobyte of user metadata is not kept.")
