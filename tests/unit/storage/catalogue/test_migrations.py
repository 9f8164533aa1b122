"""Migrations: the number the code believes in is the newest, and the tables are what they make."""

from __future__ import annotations

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from storage.catalogue import Catalogue, database
from storage.catalogue.tables import METADATA

_VERSIONS = Path(database.__file__).parent / "migrations/versions"


def test_the_newest_is_known() -> None:
    """Else every command would load the migration machinery, which takes a second."""
    newest = max(path.name[:4] for path in _VERSIONS.glob("[0-9]*.py"))
    assert newest == database._HEAD


def test_the_tables_are_what_migrations_make(tmp_path: Path) -> None:
    """No column only here or only there."""
    url = f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    catalogue = Catalogue(url)
    catalogue.migrate()
    catalogue.close()
    engine = create_engine(url)
    with engine.connect() as connection:
        # The full-text index is no table of ours: its own tables are SQLite's business.
        ours = {"include_name": lambda name, *_: not str(name).startswith("search_index")}
        differences = compare_metadata(MigrationContext.configure(connection, opts=ours), METADATA)
    engine.dispose()
    assert differences == []
