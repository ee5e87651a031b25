BEGIN;

-- Running upgrade a1 -> b2

ALTER TABLE users ADD COLUMN state TEXT DEFAULT 'new' NOT NULL;

UPDATE alembic_version SET version_num='b2' WHERE alembic_version.version_num = 'a1';

COMMIT;

