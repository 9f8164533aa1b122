"""Checks of the probe: what is refused, who wins, and what a dying writer leaves."""

from __future__ import annotations

import base64
import hashlib
import io
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import BotoCoreError, ClientError

from storage.s3.probe.area import ProbeArea, reason_of, status_of
from storage.s3.probe.capabilities import Answer, Check, CheckName

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SENT, _TAMPERED = b"the records as they were signed", b"the records as they were forged"
_OLD, _NEW = b"o" * (256 << 10), b"n" * (256 << 10)
_CONDITION_FAILED = (409, 412)
_RIVALS = 4


def _forge(request: AWSPreparedRequest) -> None:
    request.body = _TAMPERED  # as long as what was signed, so only the digest can tell


def payload_digest(area: ProbeArea) -> Check:
    """A body that is not what was signed must be refused, in one request and as a part."""
    name = CheckName.PAYLOAD
    with area.tampering_client(_forge) as client:
        try:
            client.put_object(Bucket=area.bucket, Key=area.key("forged"), Body=_SENT, **area.locked)
        except ClientError as error:
            if not _client_error(error):
                return Check(name, Answer.UNKNOWN, f"A forged body ended in {reason_of(error)}.")
        else:
            return Check(name, Answer.NO, "A body that is not what was signed is accepted.")
        if area.get_or_none("forged") is not None:
            return Check(name, Answer.NO, "A body that is not what was signed is refused, but kept.")
        upload = area.begin("forged-part")
        try:
            client.upload_part(
                Bucket=area.bucket,
                Key=area.root + "forged-part",
                UploadId=upload,
                PartNumber=1,
                Body=_SENT,
            )
        except ClientError as error:
            if _client_error(error):
                sentence = "A body or part that is not what was signed is refused."
                return Check(name, Answer.YES, sentence)
            return Check(name, Answer.UNKNOWN, f"A forged part ended in {reason_of(error)}.")
    return Check(name, Answer.NO, "A part that is not what was signed is accepted.")


def content_md5(area: ProbeArea) -> Check:
    """A wrong Content-MD5 must be refused."""
    try:
        area.put("md5", _SENT, ContentMD5=_md5(_TAMPERED))
    except ClientError as error:
        if _client_error(error):
            return Check(CheckName.MD5, Answer.YES, "A wrong Content-MD5 is refused.")
        return Check(CheckName.MD5, Answer.UNKNOWN, f"A wrong Content-MD5 ended in {reason_of(error)}.")
    return Check(CheckName.MD5, Answer.NO, "A wrong Content-MD5 is accepted.")


def create_only(area: ProbeArea) -> Check:
    """If-None-Match: a first write succeeds, a second is refused, and of many at once one wins."""
    name = CheckName.CREATE_ONLY
    try:
        area.put("create", b"first", IfNoneMatch="*")
    except ClientError as error:
        return Check(name, Answer.NO, f"If-None-Match is refused even for a new key: {reason_of(error)}.")
    if not _refused(area, "create", IfNoneMatch="*"):
        return Check(name, Answer.NO, "If-None-Match is ignored: an existing object is overwritten.")
    if area.get("create") != b"first":
        sentence = "A refused write changed the object all the same."
        return Check(name, Answer.NO, sentence, dangerous=True)

    def rival(number: int) -> bool:
        try:
            area.put("race", bytes([number]) * 1000, IfNoneMatch="*")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(_RIVALS) as pool:
        winners = sum(pool.map(rival, range(_RIVALS)))
    if winners > 1:
        sentence = f"If-None-Match is refused in sequence, but {winners} of {_RIVALS} writers at once won."
        return Check(name, Answer.NO, sentence)
    return Check(name, Answer.YES, "If-None-Match is honoured, also for writers at once.")


def create_only_parts(area: ProbeArea) -> Check:
    """If-None-Match on the completion of a multipart upload."""
    name = CheckName.CREATE_ONLY_PARTS
    if area.parts_stay_locked:
        return Check(name, Answer.UNKNOWN, area.parts_stay_locked)
    area.put("create-parts", b"first")
    upload, key = area.begin("create-parts"), area.root + "create-parts"
    tag = area.client.upload_part(
        Bucket=area.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"second"
    )["ETag"]
    try:
        area.client.complete_multipart_upload(
            Bucket=area.bucket, Key=key, UploadId=upload, IfNoneMatch="*",
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]},
        )  # fmt: skip
    except ClientError as error:
        if status_of(error) not in _CONDITION_FAILED:
            return Check(name, Answer.NO, f"If-None-Match is not understood: {reason_of(error)}.")
        if area.get("create-parts") == b"first":
            return Check(name, Answer.YES, "If-None-Match is honoured when parts are completed.")
        sentence = "A refused completion of parts changed the object all the same."
        return Check(name, Answer.NO, sentence, dangerous=True)
    sentence = "If-None-Match is ignored when parts are completed: an object is overwritten."
    return Check(name, Answer.NO, sentence)


def if_match(area: ProbeArea) -> Check:
    """If-Match: only the version that was named is replaced."""
    tag = area.put("match", b"first")["ETag"]
    try:
        refused = _refused(area, "match", IfMatch='"00000000000000000000000000000000"')
    except ClientError as error:
        return Check(CheckName.IF_MATCH, Answer.NO, f"If-Match is not understood: {reason_of(error)}.")
    if not refused:
        return Check(CheckName.IF_MATCH, Answer.NO, "If-Match is ignored: another version is replaced.")
    for given, how in ((tag, ""), (tag.strip('"'), ", with the ETag unquoted")):
        if not _refused(area, "match", IfMatch=given):
            return Check(CheckName.IF_MATCH, Answer.YES, f"If-Match is honoured{how}.")
    return Check(CheckName.IF_MATCH, Answer.NO, "If-Match refuses even the right ETag.")


class _Breaking(io.BytesIO):
    """A body whose source dies half way."""

    def read(self, size: int | None = -1, /) -> bytes:
        self._stop_at_half()
        half = len(self.getbuffer()) // 2
        return super().read(half if size is None or size < 0 else min(size, half))

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        self._stop_at_half()
        return super().readinto(buffer)

    def _stop_at_half(self) -> None:
        if self.tell() >= len(self.getbuffer()) // 2:
            raise ConnectionAbortedError("the writer died")


def overwrite(area: ProbeArea) -> Check:
    """A dying writer destroys nothing; of writers at once one wins; readers never see a mixture."""
    name = CheckName.OVERWRITE
    mixed, failed = _writers_at_once(area)
    if mixed:
        sentence = "Writers at once leave, or a reader sees, a mixture of several objects."
        return Check(name, Answer.NO, sentence, dangerous=True)
    sentence = "A writer that dies half way destroys the object that was there"
    if not _survives_a_death(area):
        if not _survives_a_death(area, ContentMD5=_md5(_NEW)):
            return Check(name, Answer.NO, f"{sentence}.", dangerous=True)
        return Check(name, Answer.NO, f"{sentence}, unless Content-MD5 is sent.")
    if failed:
        sentence = f"Of requests at once some fail ({failed}), but no bytes are mixed."
        return Check(name, Answer.NO, sentence)
    return Check(name, Answer.YES, "Objects are replaced as a whole, also by writers at once.")


def _writers_at_once(area: ProbeArea) -> tuple[bool, str]:
    """Whether bytes of several writers were seen in one object, and how requests failed, if any."""

    def write(number: int) -> bytes:
        content = bytes([65 + number]) * len(_OLD)
        area.put("over", content)
        return content

    def read(_: int) -> bytes:
        return area.get("over")

    area.put("over", _OLD)
    with ThreadPoolExecutor(2 * _RIVALS) as pool:
        work = [pool.submit(act, n) for n in range(_RIVALS) for act in (write, read)]
        failed = [reason_of(error) for job in work if isinstance(error := job.exception(), Exception)]
        seen = [job.result() for job in work if not job.exception()]
    seen.append(area.get("over"))
    mixed = any(len(content) != len(_OLD) or len(set(content)) != 1 for content in seen)
    return mixed, next(iter(failed), "")


def _survives_a_death(area: ProbeArea, **arguments: str) -> bool:
    """Whether the old object is still there after a writer that stopped half way."""

    def cut(request: AWSPreparedRequest) -> None:
        request.body = _Breaking(_NEW)

    area.put("dying", _OLD)
    with area.tampering_client(cut) as client, suppress(BotoCoreError, ConnectionError):
        client.put_object(
            Bucket=area.bucket, Key=area.key("dying"), Body=_NEW, **{**area.locked, **arguments}
        )
        raise AssertionError("the body broke, and yet there was an answer")
    time.sleep(0.3)  # the server notices in its own time
    return area.get_or_none("dying") == _OLD


def _refused(area: ProbeArea, name: str, **condition: str) -> bool:
    """Whether a write is refused because of its condition. Raises ClientError for other reasons."""
    try:
        area.put(name, b"second", **condition)
    except ClientError as error:
        if status_of(error) in _CONDITION_FAILED:
            return True
        raise
    return False


def _client_error(error: ClientError) -> bool:
    """4xx: the server says that the request is at fault."""
    return 400 <= status_of(error) < 500


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
