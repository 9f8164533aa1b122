"""Reaching an S3 server: settings, the client, and the vendor's errors turned into ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from storage.errors import (
    ObjectExists,
    ObjectMissing,
    StoreRefused,
    StoreUnavailable,
    WriteMismatch,
)
from storage.protocol import check_key
from storage.s3.probe.capabilities import VerifyWrites

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchVersion"}

# The server saw that the body changed on the way.
_CORRUPTED_IN_TRANSIT = {"BadDigest", "XAmzContentSHA256Mismatch", "InvalidDigest"}
_REFUSED = {
    "403",
    "AccessDenied",
    "InvalidAccessKeyId",
    "NoSuchBucket",
    "QuotaExceeded",
    "SignatureDoesNotMatch",
}


@dataclass(frozen=True, slots=True)
class S3Settings:
    """How to reach a bucket. Empty credentials mean the usual chain (environment, profile, role).

    ``verify_writes`` says what proves arrival: ``read-back`` reads every object again and compares
    its SHA-512; ``signed`` trusts the signed payload digest; ``auto`` does so only where the probe
    saw the server refuse a body that was tampered with. ``sse`` asks the server to encrypt.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    connections: int = 16
    verify_writes: VerifyWrites = "auto"
    part_size: int = 16 << 20
    sse: Literal["AES256", "aws:kms"] | None = None
    kms_key_id: str | None = None
    attempts: int = 4
    connect_timeout: float = 10
    read_timeout: float = 60

    @property
    def folder(self) -> str:
        """The prefix of all keys, with its slash; empty for the whole bucket."""
        prefix = self.prefix.strip("/")
        return check_key(prefix) + "/" if prefix else ""

    @property
    def address(self) -> str:
        """Where the server is, for people."""
        return self.endpoint_url or f"AWS {self.region}"

    def encryption(self) -> dict[str, str]:
        """The arguments that ask for encryption."""
        asked = {"ServerSideEncryption": self.sse, "SSEKMSKeyId": self.kms_key_id}
        return {name: value for name, value in asked.items() if self.sse and value}


def make_client(settings: S3Settings, name: str, *, attempts: int | None = None) -> S3Client:
    """A client for the server. Raises StoreRefused when the settings cannot be used at all."""
    try:
        _check_endpoint(settings.endpoint_url)
        check_key(f"{settings.folder}key")
        return boto3.client(
            "s3",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            verify=settings.ca_bundle,
            config=Config(
                # boto3's defaults fail or mis-store over HTTPS on several servers; a signed
                # payload makes Ceph and Swift verify the SHA-256 of every body.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"payload_signing_enabled": True, "addressing_style": "path"},
                # Back-off with jitter, at most 20 s apart.
                retries={"mode": "standard", "total_max_attempts": attempts or settings.attempts},
                max_pool_connections=settings.connections * 2,
                connect_timeout=settings.connect_timeout,
                read_timeout=settings.read_timeout,
            ),
        )
    except (BotoCoreError, ValueError) as error:
        raise StoreRefused(name, redacted(str(error), settings)) from None


def _check_endpoint(url: str | None) -> None:
    """Errors quote the address, so a password has no place in it."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        credentials = parts.username is not None or "@" in parts.netloc
    except ValueError:
        raise ValueError("endpoint_url is not a URL") from None
    if credentials:
        raise ValueError("endpoint_url holds a user name or password; use access_key and secret_key")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("endpoint_url is not an http or https URL")


def redacted(text: str, settings: S3Settings) -> str:
    """The text without our credentials, whoever put them there."""
    for secret in (settings.secret_key, settings.access_key):
        if secret and len(secret) >= 8:  # shorter ones are test keys, and parts of common words
            text = text.replace(secret, "***")
    return text


@contextmanager
def s3_errors(name: str, settings: S3Settings, key: str) -> Iterator[None]:
    """The one place where the vendor's errors become ours. Never quotes credentials."""
    try:
        yield
    except ClientError as error:
        raise _translated(name, settings, key, error) from _quotable(error, settings)
    except (BotoCoreError, Boto3Error, HTTPError, ResponseParserError) as error:
        reason = redacted(f"{type(error).__name__}: {error}", settings)
        raise StoreUnavailable(name, reason) from _quotable(error, settings)
    except OSError as error:
        raise StoreUnavailable(name, f"{error.strerror or type(error).__name__}") from error


def _quotable(error: Exception, settings: S3Settings) -> Exception | None:
    """The cause, unless showing it would show a credential."""
    texts = (str(error), repr(error))
    return error if all(redacted(text, settings) == text for text in texts) else None


def _translated(name: str, settings: S3Settings, key: str, error: ClientError) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "PreconditionFailed":
        return ObjectExists(key)
    if code in _CORRUPTED_IN_TRANSIT:
        return WriteMismatch(key, expected="the bytes that were sent", found=f"others ({code})")
    if code == "NoSuchBucket":
        return StoreRefused(name, f"there is no bucket “{settings.bucket}”")
    if code in _MISSING:
        return ObjectMissing(key)
    message = redacted(error.response.get("Error", {}).get("Message") or code, settings)
    if code in _REFUSED or status == 403:
        return StoreRefused(name, f"access refused ({code}: {message})")
    return StoreUnavailable(name, f"{code}: {message} (HTTP {status})")
