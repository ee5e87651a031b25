SELECT format('schema %I owner %s', name, nspowner::regrole)
    || E'\n  grants ' || (
        SELECT coalesce(string_agg(item::text, ' ' ORDER BY item::text COLLATE "C"), 'none')
        FROM unnest(coalesce(nspacl, acldefault('n', nspowner))) item)
    || coalesce(E'\n  comment ' || quote_literal(obj_description(oid, 'pg_namespace')), '')
FROM own_schema ORDER BY name COLLATE "C"
