"""An option of an S3 store reaches the client: one that is accepted and does nothing is the worst."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from stele.s3_settings import s3_settings
from stele.settings import S3StoreSettings
from storage.s3 import client
from storage.s3.client import S3Settings, make_client

_NOT_OF_THE_CLIENT = {"kind", "name", "place", "role", "audited", "capacity", "object_lock"}
_OTHER = {
    "prefix": "p", "endpoint_url": "http://127.0.0.1:1", "region": "x", "access_key": "a",
    "secret_key": SecretStr("s"), "ca_bundle": Path("/ca.pem"), "connections": 3, "verify_writes": "signed",
    "sse": "aws:kms", "kms_key_id": "k", "attempts": 2, "connect_timeout": 1.5, "read_timeout": 2.5,
}  # fmt: skip
"""A value for each that is not its default."""
_OF_OUR_OWN_REQUESTS = {"prefix", "verify_writes", "sse", "kms_key_id"}
"""What the store puts into its requests; boto3 is not told."""


def test_every_option_is_taken_over() -> None:
    """By name; a new one must be added to ``s3_settings`` and here."""
    names = set(S3StoreSettings.model_fields) - _NOT_OF_THE_CLIENT
    assert names <= {field.name for field in fields(S3Settings)}
    assert names == {"bucket", *_OTHER}
    plain = s3_settings(S3StoreSettings(kind="s3", bucket="b"))
    chosen = s3_settings(S3StoreSettings(kind="s3", bucket="b", **_OTHER))
    assert not [name for name in _OTHER if getattr(plain, name) == getattr(chosen, name)]


@pytest.mark.parametrize("option", sorted(set(_OTHER) - _OF_OUR_OWN_REQUESTS))
def test_every_other_option_reaches_boto3(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the client gets other arguments."""
    told: list[str] = []

    def client_of(*_: object, config: Any, **more: object) -> None:
        told.append(repr((sorted(more.items()), sorted(config._user_provided_options.items()))))

    monkeypatch.setattr(client.boto3, "client", client_of)
    for chosen in ({}, {option: _OTHER[option]}):
        make_client(s3_settings(S3StoreSettings(kind="s3", bucket="b", **chosen)), "store")
    assert told[0] != told[1]
