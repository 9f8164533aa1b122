"""The dashboard of a workspace: its sources, its server, who may sign in."""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Callable
from zoneinfo import ZoneInfo

import uvicorn

from dashboard import Sources, Space, StoreFacts, create_app
from pipeline.agreement import Agreement, AgreementError, find_agreement
from stele.settings import FilesStoreSettings, Settings, SettingsError, StoreSettings
from stele.wiring import agreement_folders, build_policy
from storage.catalogue import Catalogue

__all__ = ["is_loopback", "run_dashboard", "sources_of"]

ORCHESTRATION = "orchestration.json"


def sources_of(settings: Settings, catalogue: Catalogue) -> Sources:
    """What the pages are made from. Raises PolicyError."""
    return Sources(
        archive_name=settings.archive_name,
        catalogue=catalogue,
        stores=tuple(_facts(store, settings) for store in settings.stores),
        policy=build_policy(settings),
        agreement=_agreements(settings),
        dips=settings.place(settings.dips),
        orchestration_file=settings.home / ORCHESTRATION,
        ttl_days=settings.audit.ttl_days,
        nightly_every_hours=settings.nightly.every_hours,
        zone=ZoneInfo(settings.time_zone),
    )


def run_dashboard(settings: Settings, *, host: str = "", port: int | None = None) -> None:
    """Serve it until it is stopped. Raises SettingsError, StoreUnavailable."""
    wanted = settings.dashboard
    host, port = host or wanted.host, wanted.port if port is None else port
    catalogue = Catalogue(settings.catalogue_url)
    catalogue.migrate()
    loopback = is_loopback(host) and not wanted.names
    if not loopback and not catalogue.accounts.all():
        raise SettingsError(
            "beyond this machine the dashboard is shown only to people who sign in, and there is no "
            "account yet: stele accounts add NAME --role operator"
        )
    names = [*wanted.names, host]
    app = create_app(sources_of(settings, catalogue), hosts=names, loopback=loopback, secure=wanted.https)
    try:
        uvicorn.run(
            app, host=host, port=port, log_level="warning", server_header=False,
            proxy_headers=bool(wanted.proxies), forwarded_allow_ips=",".join(wanted.proxies),
        )  # fmt: skip
    finally:
        catalogue.close()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _agreements(settings: Settings) -> Callable[[str], Agreement | None]:
    def find(name: str) -> Agreement | None:
        try:
            return find_agreement(agreement_folders(settings), name)
        except AgreementError:
            return None

    return find


def _facts(store: StoreSettings, settings: Settings) -> StoreFacts:
    return StoreFacts(
        store.name, store.kind, store.place, store.role, store.audited, store.capacity,
        lambda: _space(store, settings),
    )  # fmt: skip


def _space(store: StoreSettings, settings: Settings) -> Space:
    if isinstance(store, FilesStoreSettings):
        try:
            usage = shutil.disk_usage(settings.place(store.path))
        except OSError:
            return Space(None, None)
        return Space(usage.total, usage.free)
    return Space(None, None)
