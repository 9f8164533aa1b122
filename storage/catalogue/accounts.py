"""Who may sign in to the dashboard, and who has."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import delete, insert, select, update

from storage.catalogue.database import put_row
from storage.catalogue.repository import Repository
from storage.catalogue.rows import AccountRow
from storage.catalogue.tables import ACCOUNT, LOGIN


class AccountRecords(Repository):
    """One row an account, one a browser that is signed in. Passwords and tokens come hashed."""

    def all(self) -> tuple[AccountRow, ...]:
        """All, by name."""
        with self._database.transaction() as connection:
            rows = connection.execute(select(ACCOUNT).order_by(ACCOUNT.c.name)).all()
        return tuple(AccountRow(**row._mapping) for row in rows)

    def get(self, name: str) -> AccountRow | None:
        """One of them."""
        with self._database.transaction() as connection:
            row = connection.execute(select(ACCOUNT).where(ACCOUNT.c.name == name)).first()
        return AccountRow(**row._mapping) if row else None

    def put(self, account: AccountRow) -> None:
        """Add or change one; whoever is signed in under this name is signed out."""
        with self._database.write() as connection:
            connection.execute(delete(LOGIN).where(LOGIN.c.account == account.name))
            put_row(connection, ACCOUNT, asdict(account))

    def rehash(self, name: str, password: str) -> None:
        """The same password, hashed anew; nobody is signed out."""
        with self._database.write() as connection:
            connection.execute(update(ACCOUNT).where(ACCOUNT.c.name == name).values(password=password))

    def remove(self, name: str) -> bool:
        """Whether there was one."""
        with self._database.write() as connection:
            connection.execute(delete(LOGIN).where(LOGIN.c.account == name))
            return bool(connection.execute(delete(ACCOUNT).where(ACCOUNT.c.name == name)).rowcount)

    def open_login(self, token: str, account: str, *, now: str, expires: str) -> None:
        """Somebody has signed in; what has expired is forgotten."""
        with self._database.write() as connection:
            connection.execute(delete(LOGIN).where(LOGIN.c.expires < now))
            connection.execute(insert(LOGIN).values(token=token, account=account, expires=expires))

    def login(self, token: str, now: str) -> AccountRow | None:
        """Whose token this is, while it lasts."""
        query = select(ACCOUNT).join(LOGIN, LOGIN.c.account == ACCOUNT.c.name)
        query = query.where(LOGIN.c.token == token, LOGIN.c.expires >= now)
        with self._database.transaction() as connection:
            row = connection.execute(query).first()
        return AccountRow(**row._mapping) if row else None

    def close_login(self, token: str) -> None:
        """Somebody has signed out."""
        with self._database.write() as connection:
            connection.execute(delete(LOGIN).where(LOGIN.c.token == token))
