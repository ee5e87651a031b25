WITH
-- Temporary and system schemas begin with pg_, a prefix that no other schema may have.
own_schema AS (
    SELECT oid, nspname AS name, nspowner, nspacl
    FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
of_extension AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
own_relation AS (
    SELECT class.*, quote_ident(own_schema.name) || '.' || quote_ident(class.relname) AS name
    FROM pg_class class JOIN own_schema ON own_schema.oid = class.relnamespace
    WHERE (('pg_class'::regclass)::oid, class.oid) NOT IN (SELECT classid, objid FROM of_extension)
)
