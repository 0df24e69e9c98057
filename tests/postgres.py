"""A PostgreSQL database as in production: an owner, and a role that owns nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from environ import Env


@contextmanager
def own_database(server: str) -> Iterator[dict[str, str]]:
    """Made on the server of this address, and dropped afterwards; the two addresses as settings."""
    found = Env.db_url_config(server)
    name = f"parley_{uuid.uuid4().hex[:8]}"
    place = {"host": found["HOST"], "port": found["PORT"] or 5432}
    superuser = psycopg2.connect(
        dbname="postgres", user=found["USER"], password=found["PASSWORD"] or None, **place
    )
    superuser.autocommit = True
    with superuser.cursor() as cursor:
        for role in (f"{name}_owner", f"{name}_app"):
            cursor.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x' NOSUPERUSER NOBYPASSRLS")
        cursor.execute(f"CREATE DATABASE {name} OWNER {name}_owner")
    address = "postgres://{}:x@{host}:{port}/{}"
    try:
        yield {
            "DATABASE_URL": address.format(f"{name}_app", name, **place),
            "DATABASE_OWNER_URL": address.format(f"{name}_owner", name, **place),
        }
    finally:
        with superuser.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
            cursor.execute(f"DROP ROLE {name}_owner, {name}_app")
        superuser.close()
