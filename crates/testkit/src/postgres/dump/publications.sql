SELECT format('publication %I owner %s', pub.pubname, pub.pubowner::regrole)
    || CASE WHEN pub.puballtables THEN ' all tables' ELSE '' END
    || CASE WHEN pub.pubinsert THEN ' insert' ELSE '' END
    || CASE WHEN pub.pubupdate THEN ' update' ELSE '' END
    || CASE WHEN pub.pubdelete THEN ' delete' ELSE '' END
    || CASE WHEN pub.pubtruncate THEN ' truncate' ELSE '' END
    || CASE WHEN pub.pubviaroot THEN ' via root' ELSE '' END
    || coalesce((
        SELECT string_agg(E'\n  schema ' || pnnspid::regnamespace, '' ORDER BY pnnspid::regnamespace::text COLLATE "C")
        FROM pg_publication_namespace WHERE pnpubid = pub.oid), '')
    || coalesce((
        SELECT string_agg(E'\n  table ' || rel.prrelid::regclass
            || coalesce(' (' || (
                SELECT string_agg(quote_ident(att.attname), ', ' ORDER BY att.attnum)
                FROM pg_attribute att WHERE att.attrelid = rel.prrelid AND att.attnum = ANY (rel.prattrs::int2[])) || ')', '')
            || coalesce(' where ' || pg_get_expr(rel.prqual, rel.prrelid), ''),
            '' ORDER BY rel.prrelid::regclass::text COLLATE "C")
        FROM pg_publication_rel rel WHERE rel.prpubid = pub.oid), '')
FROM pg_publication pub ORDER BY pub.pubname COLLATE "C"
