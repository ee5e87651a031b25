import os

import psycopg
from alembic import context
from sqlalchemy import create_engine, pool

SETTINGS = {"transaction_per_migration": True}

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, **SETTINGS)
    with context.begin_transaction():
        context.run_migrations()
else:
    # The URL as it is: its host may be a directory.
    connect = lambda: psycopg.connect(os.environ["DATABASE_URL"])  # noqa: E731
    with create_engine("postgresql+psycopg://", creator=connect, poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection, **SETTINGS)
        with context.begin_transaction():
            context.run_migrations()
