"""Settings of a workspace: defaults here, overridden by its stele.toml and by STELE_ variables."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

FILE_NAME = "stele.toml"


class SettingsError(Exception):
    """The configuration is wrong; the message lists every mistake and where it is."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class FilesStoreSettings(_Part):
    """A store in a folder."""

    kind: Literal["files"] = "files"
    name: str = Field(default="archive", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    path: Path = Field(default=Path("store"), description="Relative to the workspace.")


class S3StoreSettings(_Part):
    """A store in an S3 bucket. Without keys, the usual AWS chain applies (environment, profile)."""

    kind: Literal["s3"]
    name: str = Field(default="s3", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: SecretStr | None = None
    ca_bundle: Path | None = Field(default=None, description="PEM file of your own authority.")
    connections: int = Field(default=16, ge=1, le=256)
    verify_writes: Literal["auto", "read-back", "signed"] = "auto"
    sse: Literal["AES256", "aws:kms"] | None = Field(default=None, description="Encryption at rest.")
    kms_key_id: str | None = Field(default=None, description="Key for sse = aws:kms; empty = default.")


StoreSettings = Annotated[FilesStoreSettings | S3StoreSettings, Field(discriminator="kind")]


class Settings(BaseSettings):
    """Everything that can be configured. Relative paths start at the workspace."""

    model_config = SettingsConfigDict(
        env_prefix="STELE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    home: Path = Field(description="The workspace.")
    catalogue: str = Field(default="", description="SQLAlchemy URL; empty = catalogue.sqlite here.")
    work: Path = Field(default=Path("work"), description="Scratch; best on the store's file system.")
    receipts: Path = Field(default=Path("receipts"), description="Receipts and reports.")
    dropbox: Path = Field(default=Path("dropbox"), description="Where agencies leave their SIPs.")
    agreements: Path = Field(default=Path("agreements"), description="Your submission agreements.")
    default_agreement: str = "default"
    stores: tuple[StoreSettings, ...] = Field(default=(FilesStoreSettings(),), min_length=1)
    workers: int = Field(default=2, ge=1, le=256, description="Threads of format identification.")
    sidecar_max_files: int = Field(
        default=1000, ge=0, description="Largest package that also gets an Archivematica METS."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, which arrives as constructor arguments."""
        return env_settings, init_settings

    def place(self, path: Path) -> Path:
        """A configured path, absolute."""
        return path if path.is_absolute() else self.home / path

    @property
    def catalogue_url(self) -> str:
        """The catalogue's SQLAlchemy URL."""
        return self.catalogue or f"sqlite:///{self.home / 'catalogue.sqlite'}"


def find_home(given: Path | None) -> Path:
    """The workspace: ``--home``, then ``STELE_HOME``, then the current folder."""
    return (given or Path(os.environ.get("STELE_HOME") or ".")).resolve()


def load_settings(home: Path) -> Settings:
    """Read a workspace's settings. Raises SettingsError with every mistake in one message."""
    path = home / FILE_NAME
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"{home} is no Stele workspace (no {FILE_NAME}). "
            f"Make one with “stele init {home}”, or name another with --home."
        ) from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error
    try:
        return Settings(**{"home": home, **data})
    except ValidationError as error:
        mistakes = "\n".join(
            f"  {'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()
        )
        raise SettingsError(f"{path} (or a STELE_ variable) is wrong:\n{mistakes}") from error


__all__ = ["FilesStoreSettings", "S3StoreSettings", "Settings", "SettingsError", "load_settings"]
