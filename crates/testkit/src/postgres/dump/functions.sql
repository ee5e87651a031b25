SELECT format('function %s owner %s', proc.oid::regprocedure, proc.proowner::regrole)
    || E'\n' || CASE proc.prokind WHEN 'a' THEN
        (SELECT format('aggregate of %s with state %s start %s then %s', aggtransfn, aggtranstype::regtype,
            coalesce(agginitval, 'NULL'), aggfinalfn) FROM pg_aggregate WHERE aggfnoid = proc.oid)
        ELSE pg_get_functiondef(proc.oid) END
    || E'\n  grants ' || (
        SELECT coalesce(string_agg(item::text, ' ' ORDER BY item::text COLLATE "C"), 'none')
        FROM unnest(coalesce(proc.proacl, acldefault('f', proc.proowner))) item)
    || coalesce(E'\n  comment ' || quote_literal(obj_description(proc.oid, 'pg_proc')), '')
FROM pg_proc proc JOIN own_schema ON own_schema.oid = proc.pronamespace
WHERE (('pg_proc'::regclass)::oid, proc.oid) NOT IN (SELECT classid, objid FROM of_extension)
ORDER BY own_schema.name COLLATE "C", proc.oid::regprocedure::text COLLATE "C"
