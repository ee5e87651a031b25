BEGIN;

-- Running upgrade c3 -> d4

CREATE INDEX users_by_name ON users (name);

UPDATE alembic_version SET version_num='d4' WHERE alembic_version.version_num = 'c3';

COMMIT;

