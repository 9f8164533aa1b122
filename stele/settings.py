"""Settings of a workspace: defaults here, overridden by its stele.toml and by STELE_ variables."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
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


class _StoreSettings(_Part):
    place: str = Field(default="", description="Where it is, in words: site, provider.")
    role: Literal["required", "secondary"] = Field(
        default="required", description="“Stored” is said only when every required store holds a copy."
    )
    audited: bool = Field(default=True, description="Whether audits read it; it is written to anyway.")
    capacity: int = Field(
        default=0, ge=0, description="Bytes it may hold, where only the provider knows; 0 = ask the disk."
    )


class _BucketSettings(_Part):
    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: SecretStr | None = None
    ca_bundle: Path | None = Field(default=None, description="PEM file of your own authority.")


class FilesStoreSettings(_StoreSettings):
    """A store in a folder."""

    kind: Literal["files"] = "files"
    name: str = Field(default="archive", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    path: Path = Field(default=Path("store"), description="Relative to the workspace.")


class S3StoreSettings(_StoreSettings, _BucketSettings):
    """A store in an S3 bucket. Without keys, the usual AWS chain applies (environment, profile)."""

    kind: Literal["s3"]
    name: str = Field(default="s3", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    connections: int = Field(default=16, ge=1, le=256)
    verify_writes: Literal["auto", "read-back", "signed"] = "auto"
    sse: Literal["AES256", "aws:kms"] | None = Field(default=None, description="Encryption at rest.")
    kms_key_id: str | None = Field(default=None, description="Key for sse = aws:kms; empty = default.")
    object_lock: Literal["GOVERNANCE", "COMPLIANCE"] | None = Field(
        default=None, description="Lock objects until the agreement's retention ends (Object Lock)."
    )
    attempts: int = Field(default=4, ge=1, le=20, description="Tries of a request, with back-off.")
    connect_timeout: float = Field(default=10, gt=0, description="Seconds.")
    read_timeout: float = Field(default=60, gt=0, description="Seconds without a byte.")


class AuditSettings(_Part):
    """How much of the archive is read again, how fast, and what happens to damage."""

    ttl_days: int = Field(default=90, ge=1, description="Every copy is read at least this often.")
    max_bytes: int = Field(default=1 << 50, ge=1, description="Bytes read in one run.")
    max_objects: int = Field(default=50_000_000, ge=1, description="Objects read in one run.")
    max_hours: float = Field(default=8.0, gt=0, description="Hours one run may take.")
    repair: Literal["automatic", "approve"] = Field(
        default="approve", description="Whether damage is repaired at once or when a person says so."
    )


class IdentifySettings(_Part):
    """How formats are found out."""

    tools: tuple[Literal["siegfried", "fido"], ...] = Field(
        default=("siegfried",), description="Add fido for a second opinion (some 7 ms a file)."
    )
    signatures: Path = Field(default=Path("signatures"), description="Your own signatures (TOML).")

    @model_validator(mode="after")
    def _siegfried_is_first(self) -> IdentifySettings:
        if self.tools[:1] != ("siegfried",):
            raise ValueError("identify.tools begins with siegfried; fido is a second opinion")
        return self


class VirusSettings(_Part):
    """Where the virus scanner is."""

    clamd: str = Field(
        default="", description="unix:/run/clamav/clamd.ctl or tcp:host:port; empty = no scan."
    )
    file_limit: int = Field(
        default=100 << 20, ge=0, description="clamd's MaxFileSize in bytes (Debian: 26214400); 0 = none."
    )
    stream_limit: int = Field(
        default=100 << 20, ge=1, description="StreamMaxLength of a distant clamd, in bytes."
    )

    @field_validator("clamd")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"(unix:)?/.+|tcp:[^:]+:\d+", value):
            raise ValueError("give unix:/path/to/socket or tcp:host:port")
        return value


class BoxSettings(_BucketSettings):
    """A drop box in an S3 bucket: AGENCY/NAME.zip, or AGENCY/NAME/… below the prefix."""

    name: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")


class NightlySettings(_Part):
    """The nightly run."""

    quiet_seconds: float = Field(
        default=120.0,
        ge=0,
        description="A delivery is complete when it has not changed for this many seconds.",
    )
    max_hours: float = Field(default=8.0, gt=0, description="No delivery is started after so many hours.")
    machines: int = Field(
        default=1, ge=1, le=64, description="Prefect runs that share a nightly run: one for each machine."
    )
    max_per_agency: int = Field(
        default=0, ge=0, description="Deliveries of one agency in a run; 0 = any number."
    )
    weights: dict[str, float] = Field(default_factory=dict, description="Shares of agencies; default 1.")
    webhook: str = Field(
        default="", pattern=r"^(https?://\S+)?$", description="Where the report is sent (POST, JSON)."
    )
    parallel: int = Field(default=1, ge=1, le=64, description="Processes that take deliveries in.")
    unknown_agency: Literal["default", "review"] = Field(
        default="default",
        description="For an agency without an agreement: use the default one, or leave it for review.",
    )
    boxes: tuple[BoxSettings, ...] = Field(default=(), description="Drop boxes besides the folder.")
    notify: tuple[SecretStr, ...] = Field(
        default=(),
        description="Who gets the report in words: addresses as Apprise writes them (mailtos://…, slack://…).",
    )
    every_hours: float = Field(
        default=24.0,
        gt=0,
        description="“stele doctor” warns when the last run is older than this plus two hours.",
    )


_CRON = r"^(|\S+(\s+\S+){4})$"


class ScheduleSettings(_Part):
    """When Prefect starts what by itself: cron lines in the workspace's time zone; empty = never."""

    nightly: str = Field(default="30 22 * * *", pattern=_CRON, description="Take in, copy, audit.")
    audit: str = Field(default="", pattern=_CRON, description="An audit besides that of the nightly run.")
    replicate: str = Field(default="0 12 * * *", pattern=_CRON, description="Create pending copies.")
    reconcile: str = Field(default="0 8 1 * *", pattern=_CRON, description="Compare stores, catalogue.")
    formats: str = Field(default="0 7 1 * *", pattern=_CRON, description="Report on formats.")


PASSWORD_FILE = "prefect-password"
"""``name:password`` of Prefect's API and pages, made by ``stele init`` for its owner only."""


class PrefectSettings(_Part):
    """The Prefect server that ``stele serve`` starts, or one that runs elsewhere."""

    host: str = "127.0.0.1"
    port: int = Field(default=4200, ge=1, le=65535)
    api: str = Field(
        default="",
        pattern=r"^(https?://\S+/api)?$",
        description="API of a server elsewhere; empty: “stele serve” starts one here.",
    )
    ui: str = Field(default="", pattern=r"^(https?://\S+)?$", description="Where people reach its pages.")
    auth: SecretStr = Field(
        default=SecretStr(""),
        description="name:password for API and UI; empty: what “stele init” wrote to prefect-password.",
    )
    without_password: bool = Field(
        default=False,
        description="Serve without one: whoever reaches the port may run any command as this user.",
    )
    names: tuple[str, ...] = Field(
        default=(), description="Names the server is reached by, besides those in api and ui."
    )
    database: SecretStr = Field(
        default=SecretStr(""), description="postgresql+asyncpg://…; empty = SQLite, for trials."
    )
    runs_at_once: int = Field(default=2, ge=1, le=64, description="Flow runs of this machine's worker.")


class DashboardSettings(_Part):
    """The storage dashboard."""

    host: str = Field(
        default="127.0.0.1", description="Where it listens; beyond loopback it needs accounts."
    )
    port: int = Field(default=4280, ge=0, le=65535)
    names: tuple[str, ...] = Field(
        default=(), description="Names it is reached by, for instance archive.example.org."
    )
    https: bool = Field(default=False, description="A proxy before it speaks HTTPS.")
    proxies: tuple[str, ...] = Field(
        default=(), description="Addresses of the proxies before it; X-Forwarded-For of others is ignored."
    )


class ValidateSettings(_Part):
    """Which tools check whether files are valid."""

    enabled: bool = Field(default=True, description="Off: no file is checked, which is said.")
    tools: Path | None = Field(
        default=None, description="Where “make tools” put JHOVE and veraPDF; empty = beside Stele."
    )


StoreSettings = Annotated[FilesStoreSettings | S3StoreSettings, Field(discriminator="kind")]


class Settings(BaseSettings):
    """Everything that can be configured. Relative paths start at the workspace."""

    model_config = SettingsConfigDict(
        env_prefix="STELE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    home: Path = Field(description="The workspace.")
    archive_name: str = Field(default="Stele", description="What the dashboard calls the archive.")
    time_zone: str = Field(default="UTC", description="For instance Europe/Berlin: schedules, pages.")
    dips: Path = Field(default=Path("dips"), description="Where the Prefect UI puts DIPs.")
    quarantine: Path = Field(default=Path("quarantine"), description="Where repairs keep damaged objects.")
    catalogue: str = Field(default="", description="SQLAlchemy URL; empty = catalogue.sqlite here.")
    work: Path = Field(default=Path("work"), description="Scratch; best on the store's file system.")
    receipts: Path = Field(default=Path("receipts"), description="Receipts and reports.")
    dropbox: Path = Field(default=Path("dropbox"), description="Where agencies leave their SIPs.")
    agreements: Path = Field(default=Path("agreements"), description="Your submission agreements.")
    default_agreement: str = "default"
    stores: tuple[StoreSettings, ...] = Field(default=(FilesStoreSettings(),), min_length=1)
    audit: AuditSettings = AuditSettings()
    identify: IdentifySettings = IdentifySettings()
    validate_files: ValidateSettings = Field(default=ValidateSettings(), alias="validate")
    virus: VirusSettings = VirusSettings()
    nightly: NightlySettings = NightlySettings()
    dashboard: DashboardSettings = DashboardSettings()
    prefect: PrefectSettings = PrefectSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    normalise_after_ingest: bool = Field(
        default=False, description="Make the policy's preservation copies right after each ingest."
    )
    format_policy: Path = Field(default=Path("format-policy.toml"), description="Your own rules.")
    workers: int = Field(default=2, ge=1, le=256, description="Threads of format identification.")
    archivematica_mets_max_files: int = Field(
        default=1000, ge=0, description="Largest package that also gets an Archivematica METS."
    )

    @field_validator("time_zone")
    @classmethod
    def _a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"“{value}” is no time zone; write it like Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _stores_make_sense(self) -> Settings:
        names = [store.name for store in self.stores]
        if len(set(names)) < len(names):
            raise ValueError(f"two stores have the same name: {', '.join(sorted(names))}")
        if all(store.role == "secondary" for store in self.stores):
            raise ValueError("at least one store must be required")
        return self

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
        settings = Settings(**{"home": home, **data})
        # STELE_HOME has chosen the folder, or --home has; as a setting it would mix two archives.
        return _with_password(settings.model_copy(update={"home": home}))
    except ValidationError as error:
        mistakes = "\n".join(
            f"  {'.'.join(str(part) for part in e['loc'])}: {e['msg']}" for e in error.errors()
        )
        raise SettingsError(f"{path} (or a STELE_ variable) is wrong:\n{mistakes}") from error


def _with_password(settings: Settings) -> Settings:
    """With Prefect's password from its file, unless settings name one or the server is elsewhere."""
    prefect = settings.prefect
    if prefect.api or prefect.without_password or prefect.auth.get_secret_value():
        return settings
    try:
        found = (settings.home / PASSWORD_FILE).read_text("utf-8").strip()
    except (OSError, ValueError):  # “stele serve” says that there is none, or that it cannot be read
        return settings
    return settings.model_copy(update={"prefect": prefect.model_copy(update={"auth": SecretStr(found)})})


__all__ = [
    "PASSWORD_FILE",
    "FilesStoreSettings",
    "S3StoreSettings",
    "Settings",
    "SettingsError",
    "load_settings",
]
