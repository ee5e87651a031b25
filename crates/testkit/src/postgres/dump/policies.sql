SELECT format('policy %I on %s for %s %s to %s', pol.polname, relation.name, pol.polcmd,
        CASE WHEN pol.polpermissive THEN 'permissive' ELSE 'restrictive' END,
        (SELECT string_agg(CASE role WHEN 0 THEN 'public' ELSE role::regrole::text END, ', '
            ORDER BY CASE role WHEN 0 THEN 'public' ELSE role::regrole::text END COLLATE "C")
        FROM unnest(pol.polroles) role))
    || coalesce(E'\n  using ' || pg_get_expr(pol.polqual, pol.polrelid), '')
    || coalesce(E'\n  with check ' || pg_get_expr(pol.polwithcheck, pol.polrelid), '')
    || coalesce(E'\n  comment ' || quote_literal(obj_description(pol.oid, 'pg_policy')), '')
FROM own_relation relation JOIN pg_policy pol ON pol.polrelid = relation.oid
ORDER BY relation.name COLLATE "C", pol.polname COLLATE "C"
