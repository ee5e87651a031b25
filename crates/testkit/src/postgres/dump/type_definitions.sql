SELECT format('type %s kind %s owner %s', format_type(type.oid, NULL), type.typtype, type.typowner::regrole)
    || coalesce(E'\n  labels ' || (
        SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
        FROM pg_enum WHERE enumtypid = type.oid), '')
    || CASE type.typtype WHEN 'd' THEN
        E'\n  domain over ' || format_type(type.typbasetype, type.typtypmod)
        || CASE WHEN type.typnotnull THEN ' not null' ELSE '' END
        || coalesce(' default ' || type.typdefault, '')
        || CASE WHEN type.typcollation <> 0 THEN ' collation ' || type.typcollation::regcollation ELSE '' END
        ELSE '' END
    || coalesce(E'\n  range over ' || (
        SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = type.oid), '')
    || E'\n  grants ' || (
        SELECT coalesce(string_agg(item::text, ' ' ORDER BY item::text COLLATE "C"), 'none')
        FROM unnest(coalesce(type.typacl, acldefault('T', type.typowner))) item)
    || coalesce(E'\n  comment ' || quote_literal(obj_description(type.oid, 'pg_type')), '')
FROM pg_type type JOIN own_schema ON own_schema.oid = type.typnamespace
-- The row types of relations are their columns; array types follow their elements.
WHERE type.typtype IN ('e', 'd', 'r', 'm', 'b', 'c') AND type.typcategory <> 'A'
    AND (type.typrelid = 0 OR EXISTS (SELECT FROM pg_class WHERE oid = type.typrelid AND relkind = 'c'))
    AND (('pg_type'::regclass)::oid, type.oid) NOT IN (SELECT classid, objid FROM of_extension)
ORDER BY own_schema.name COLLATE "C", type.typname COLLATE "C"
