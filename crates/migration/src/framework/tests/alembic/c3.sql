BEGIN;

-- Running upgrade b2 -> c3

ALTER TABLE users DROP COLUMN age;

UPDATE alembic_version SET version_num='c3' WHERE alembic_version.version_num = 'b2';

COMMIT;

