//! What a database has once for all tables: the functions that triggers, defaults and views call, and who wrote last.

use crate::{Ident, Literal, QualifiedName};

/// The sequence that holds when a version older than the change last wrote, in seconds since 1970: no transaction waits for
/// another one for it, and it is set once a second at most. Logged, though a crash might forget it: a server that dies while
/// a transaction that has made an unlogged relation is being taken back does not start again (`could not create file`: what
/// resets such relations at the end of the recovery finds the first file of one there).
#[must_use]
pub fn older_writes(schema: &Ident, number: u32) -> QualifiedName {
    QualifiedName::new(&ours(), &schema.prefixed(&format!("older_{number}_")))
}

/// What makes it, for everybody who may write.
#[must_use]
pub fn make_older_writes(schema: &Ident, number: u32) -> String {
    let sequence = older_writes(schema, number);
    format!("CREATE SEQUENCE IF NOT EXISTS {sequence}; GRANT SELECT, UPDATE ON SEQUENCE {sequence} TO PUBLIC")
}

pub(super) fn ours() -> Ident {
    Ident::new("switchover").expect("a name")
}

/// The statement that takes a version away, if it is there. What is not ours is not taken along.
#[must_use]
pub(crate) fn drop_version(version: &Ident) -> String {
    format!("SELECT switchover.drop_version({})", Literal(version.as_str()))
}

/// The statement that notes that a view, which was made right before, is ours.
#[must_use]
pub(crate) fn note_view(view: &QualifiedName) -> String {
    format!("SELECT switchover.note_view({})", Literal(&view.to_string()))
}

/// Name of the setting under which a batch of the backfill tells the triggers that it does their work itself.
pub const BACKFILL_SETTING: &str = "switchover.backfill";

/// The functions that triggers and defaults call, made once a database. Safe to run again.
pub const FUNCTIONS: &str = "
CREATE OR REPLACE FUNCTION switchover.left_out(trace text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- Once is enough, should nobody take it up.
    IF pg_catalog.strpos(coalesce(pg_catalog.current_setting('switchover.left_out', true), ''), trace) = 0 THEN
        PERFORM pg_catalog.set_config('switchover.left_out',
            coalesce(pg_catalog.current_setting('switchover.left_out', true), '') || trace, true);
    END IF;
    RETURN NULL;
END $$;
GRANT EXECUTE ON FUNCTION switchover.left_out(text) TO PUBLIC;
CREATE OR REPLACE FUNCTION switchover.same_rights(source text, target text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END AS grantee,
               acl.privilege_type AS privilege, acl.is_grantable
          FROM pg_catalog.pg_class AS class,
               pg_catalog.aclexplode(coalesce(class.relacl, pg_catalog.acldefault('r', class.relowner))) AS acl
         WHERE class.oid = source::pg_catalog.regclass
           AND acl.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRIGGER', 'REFERENCES')
    LOOP
        EXECUTE pg_catalog.format('GRANT %s ON %s TO %s%s', given.privilege, target::pg_catalog.regclass, given.grantee,
            CASE WHEN given.is_grantable AND given.grantee <> 'PUBLIC' THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION switchover.same_column_rights(source text, of text, target text, name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END AS grantee,
               acl.privilege_type AS privilege, acl.is_grantable
          FROM pg_catalog.pg_attribute AS attribute, pg_catalog.aclexplode(attribute.attacl) AS acl
         WHERE attribute.attrelid = source::pg_catalog.regclass AND attribute.attname = of
    LOOP
        EXECUTE pg_catalog.format('GRANT %s (%I) ON %s TO %s%s', given.privilege, name, target::pg_catalog.regclass, given.grantee,
            CASE WHEN given.is_grantable AND given.grantee <> 'PUBLIC' THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION switchover.set_apart(of text, prefix text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    index record;
    foreign_key name;
BEGIN
    -- A row that is kept must not hold up the deletion of one that is used.
    FOR foreign_key IN
        SELECT conname FROM pg_catalog.pg_constraint
         WHERE conrelid = of::pg_catalog.regclass AND contype = 'f' AND confrelid <> conrelid
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', of::pg_catalog.regclass, foreign_key);
    END LOOP;
    FOR index IN
        SELECT class.oid::pg_catalog.regclass AS name, class.relname AS plain
          FROM pg_catalog.pg_index AS known JOIN pg_catalog.pg_class AS class ON class.oid = known.indexrelid
         WHERE known.indrelid = of::pg_catalog.regclass AND NOT pg_catalog.starts_with(class.relname, prefix)
    LOOP
        EXECUTE pg_catalog.format('ALTER INDEX %s RENAME TO %I', index.name,
            prefix || CASE WHEN octet_length(prefix || index.plain) < 64 THEN index.plain::text ELSE md5(index.plain) END);
    END LOOP;
END $$;
CREATE TABLE IF NOT EXISTS switchover.view (
    version text NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (version, name)
);
CREATE OR REPLACE FUNCTION switchover.note_view(made text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO switchover.view
    SELECT namespace.nspname, class.relname FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
     WHERE class.oid = made::pg_catalog.regclass
        ON CONFLICT DO NOTHING
$$;
CREATE OR REPLACE FUNCTION switchover.views_of(version text) RETURNS SETOF oid LANGUAGE sql STABLE AS $$
    SELECT class.oid FROM pg_catalog.pg_class AS class JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
      JOIN switchover.view AS ours ON ours.version = namespace.nspname AND ours.name = class.relname
     WHERE namespace.nspname = views_of.version AND class.relkind = 'v'
$$;
CREATE OR REPLACE FUNCTION switchover.not_ours(version text) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    WITH views (oid) AS (SELECT switchover.views_of(version)),
    types (oid) AS (
        SELECT type.oid FROM pg_catalog.pg_type AS type JOIN views ON views.oid = type.typrelid
         UNION SELECT type.typarray FROM pg_catalog.pg_type AS type JOIN views ON views.oid = type.typrelid WHERE type.typarray <> 0)
    SELECT pg_catalog.pg_describe_object(depend.classid, depend.objid, depend.objsubid)
      FROM pg_catalog.pg_depend AS depend JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = depend.refobjid
     WHERE depend.refclassid = 'pg_catalog.pg_namespace'::regclass AND namespace.nspname = not_ours.version AND depend.deptype IN ('n', 'a')
       AND NOT (depend.classid = 'pg_catalog.pg_class'::regclass AND depend.objid IN (SELECT oid FROM views))
     UNION
    SELECT pg_catalog.pg_describe_object(depend.classid, depend.objid, depend.objsubid)
      FROM pg_catalog.pg_depend AS depend
     WHERE depend.deptype IN ('n', 'a')
       AND (depend.refclassid = 'pg_catalog.pg_class'::regclass AND depend.refobjid IN (SELECT oid FROM views)
            OR depend.refclassid = 'pg_catalog.pg_type'::regclass AND depend.refobjid IN (SELECT oid FROM types))
       AND NOT (depend.classid = 'pg_catalog.pg_rewrite'::regclass AND depend.objid IN (
                SELECT rule.oid FROM pg_catalog.pg_rewrite AS rule JOIN views ON views.oid = rule.ev_class WHERE rule.rulename = '_RETURN'))
       AND NOT (depend.classid = 'pg_catalog.pg_attrdef'::regclass AND depend.objid IN (
                SELECT given.oid FROM pg_catalog.pg_attrdef AS given JOIN views ON views.oid = given.adrelid))
     ORDER BY 1 LIMIT 20
$$;
CREATE OR REPLACE FUNCTION switchover.drop_version(version text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    views text;
BEGIN
    SELECT pg_catalog.string_agg(view::regclass::text, ', ') INTO views FROM switchover.views_of(drop_version.version) AS view;
    IF views IS NOT NULL THEN
        EXECUTE 'DROP VIEW ' || views;
    END IF;
    -- A rule or trigger of somebody else's on a view goes with it, whatever RESTRICT says: who begins looks before.
    DELETE FROM switchover.view AS ours WHERE ours.version = drop_version.version;
    EXECUTE pg_catalog.format('DROP SCHEMA IF EXISTS %I', version);
END $$;
DROP FUNCTION IF EXISTS switchover.rows_that_fail(text, text, text, text);
CREATE OR REPLACE FUNCTION switchover.rows_that_fail(source text, key text, given text, only_rows text, most int, within interval) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    place record;
    found int := 0;
    begun timestamptz := pg_catalog.clock_timestamp();
BEGIN
    FOR place IN EXECUTE pg_catalog.format('SELECT ctid AS at, tableoid AS part, %s AS key FROM %s WHERE %s', key, source, only_rows) LOOP
        BEGIN
            EXECUTE pg_catalog.format('SELECT pg_catalog.octet_length(ROW(%s)::text) FROM %s WHERE ctid = $1 AND tableoid = $2', given, source)
               USING place.at, place.part;
        EXCEPTION WHEN OTHERS THEN
            found := found + 1;
            RETURN NEXT place.key;
        END;
        EXIT WHEN found = most OR pg_catalog.clock_timestamp() - begun > within;
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION switchover.drop_loose_keys(whole text, prefix text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    loose record;
BEGIN
    FOR loose IN
        WITH RECURSIVE tree (oid) AS (
            SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = whole::pg_catalog.regclass
             UNION ALL SELECT inhrelid FROM pg_catalog.pg_inherits JOIN tree ON inhparent = tree.oid)
        SELECT conrelid::pg_catalog.regclass AS part, conname AS name FROM pg_catalog.pg_constraint
         WHERE conrelid IN (SELECT oid FROM tree) AND contype = 'f' AND conparentid = 0 AND pg_catalog.starts_with(conname::text, prefix)
    LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', loose.part, loose.name);
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION switchover.rename_parts(whole text, old text, new text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part record;
BEGIN
    FOR part IN
        WITH RECURSIVE parts (oid) AS (
            SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = whole::pg_catalog.regclass
             UNION ALL SELECT inhrelid FROM pg_catalog.pg_inherits JOIN parts ON inhparent = parts.oid)
        SELECT class.oid::pg_catalog.regclass AS name, namespace.nspname AS schema, replace(class.relname, old, new) AS called
          FROM parts JOIN pg_catalog.pg_class AS class ON class.oid = parts.oid
          JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
         WHERE strpos(class.relname, old) > 0
    LOOP
        -- A name that is too long or taken is left as it is.
        CONTINUE WHEN octet_length(part.called) > 63
            OR pg_catalog.to_regclass(pg_catalog.format('%I.%I', part.schema, part.called)) IS NOT NULL;
        EXECUTE pg_catalog.format('ALTER INDEX %s RENAME TO %I', part.name, part.called);
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION switchover.rename_constraint_parts(whole text, old text, new text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part record;
BEGIN
    FOR part IN
        WITH RECURSIVE parts (oid) AS (
            SELECT oid FROM pg_catalog.pg_constraint WHERE conrelid = whole::pg_catalog.regclass AND conname = new
             UNION ALL SELECT child.oid FROM pg_catalog.pg_constraint AS child JOIN parts ON child.conparentid = parts.oid)
        SELECT conrelid::pg_catalog.regclass AS part, conrelid, conname AS name, replace(conname, old, new) AS called
          FROM parts JOIN pg_catalog.pg_constraint AS known ON known.oid = parts.oid
         WHERE strpos(conname, old) > 0 AND conname <> new AND contype = 'f'
    LOOP
        CONTINUE WHEN octet_length(part.called) > 63
            OR EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = part.conrelid AND conname = part.called);
        EXECUTE pg_catalog.format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', part.part, part.name, part.called);
    END LOOP;
END $$;
CREATE OR REPLACE FUNCTION switchover.same_schema_rights(source text, target text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(acl.grantee)) END AS grantee
          FROM pg_catalog.pg_namespace AS namespace,
               pg_catalog.aclexplode(coalesce(namespace.nspacl, pg_catalog.acldefault('n', namespace.nspowner))) AS acl
         WHERE namespace.nspname = source AND acl.privilege_type = 'USAGE'
    LOOP
        EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %s', target, given.grantee);
    END LOOP;
END $$;
";
