"""From an entry of ``stores`` in the settings to what the storage layer needs to know of a bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stele.settings import S3StoreSettings

if TYPE_CHECKING:
    from storage.s3.client import S3Settings

__all__ = ["s3_settings"]


def s3_settings(store: S3StoreSettings) -> S3Settings:
    """What the storage layer needs to know of one entry of ``stores``."""
    from storage.s3.client import S3Settings  # boto3 takes long to import

    return S3Settings(
        bucket=store.bucket,
        prefix=store.prefix,
        endpoint_url=store.endpoint_url,
        region=store.region,
        access_key=store.access_key,
        secret_key=store.secret_key.get_secret_value() if store.secret_key else None,
        ca_bundle=str(store.ca_bundle) if store.ca_bundle else None,
        connections=store.connections,
        verify_writes=store.verify_writes,
        sse=store.sse,
        kms_key_id=store.kms_key_id,
        attempts=store.attempts,
        connect_timeout=store.connect_timeout,
        read_timeout=store.read_timeout,
    )
