SELECT format('constraint %s on %s: %s%s', quote_ident(con.conname), coalesce(relation.name, domain.name),
        pg_get_constraintdef(con.oid), CASE WHEN con.convalidated THEN ' validated' ELSE ' not validated' END)
    || CASE WHEN con.conislocal THEN '' ELSE ' inherited' END
    || coalesce(E'\n  comment ' || quote_literal(obj_description(con.oid, 'pg_constraint')), '')
FROM pg_constraint con
LEFT JOIN own_relation relation ON relation.oid = con.conrelid
LEFT JOIN (
    SELECT typ.oid, format_type(typ.oid, NULL) AS name
    FROM pg_type typ JOIN own_schema ON own_schema.oid = typ.typnamespace
) domain ON domain.oid = con.contypid
-- Constraint triggers stand with the triggers.
WHERE coalesce(relation.oid, domain.oid) IS NOT NULL AND con.contype <> 't'
ORDER BY coalesce(relation.name, domain.name) COLLATE "C", con.conname COLLATE "C"
