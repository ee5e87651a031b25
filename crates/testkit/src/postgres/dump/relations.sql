SELECT format('relation %s kind %s persistence %s owner %s replica identity %s',
        relation.name, relation.relkind, relation.relpersistence, relation.relowner::regrole, relation.relreplident)
    || CASE WHEN relation.relrowsecurity THEN ' row security' ELSE '' END
    || CASE WHEN relation.relforcerowsecurity THEN ' forced' ELSE '' END
    || CASE WHEN relation.relkind = 'm' AND NOT relation.relispopulated THEN ' not populated' ELSE '' END
    || coalesce(' access ' || (SELECT amname FROM pg_am WHERE oid = relation.relam), '')
    || coalesce(' tablespace ' || (SELECT spcname FROM pg_tablespace WHERE oid = relation.reltablespace), '')
    || CASE WHEN relation.reloftype <> 0 THEN ' of ' || relation.reloftype::regtype ELSE '' END
    || coalesce(E'\n  options ' || (
        SELECT string_agg(option, ', ' ORDER BY option COLLATE "C") FROM (
            SELECT unnest(relation.reloptions)
            UNION ALL
            SELECT 'toast.' || unnest(reloptions) FROM pg_class WHERE oid = relation.reltoastrelid
        ) options (option)), '')
    || coalesce(E'\n  inherits ' || (
        SELECT string_agg(inhparent::regclass || CASE WHEN inhdetachpending THEN ' (detaching)' ELSE '' END, ', ' ORDER BY inhseqno)
        FROM pg_inherits WHERE inhrelid = relation.oid), '')
    || CASE WHEN relation.relkind = 'p' THEN E'\n  partition key ' || pg_get_partkeydef(relation.oid) ELSE '' END
    || coalesce(E'\n  partition ' || pg_get_expr(relation.relpartbound, relation.oid), '')
    || coalesce(E'\n  grants ' || (
        SELECT coalesce(string_agg(item::text, ' ' ORDER BY item::text COLLATE "C"), 'none')
        FROM unnest(coalesce(relation.relacl,
            acldefault(CASE relation.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relation.relowner))) item), '')
    || coalesce(E'\n  comment ' || quote_literal(obj_description(relation.oid, 'pg_class')), '')
FROM own_relation relation
WHERE relation.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
ORDER BY relation.name COLLATE "C"
