SELECT pg_get_indexdef(ind.indexrelid)
    || CASE WHEN ind.indisvalid THEN '' ELSE ' INVALID' END
    || CASE WHEN ind.indisready THEN '' ELSE ' NOT READY' END
    || CASE WHEN ind.indislive THEN '' ELSE ' NOT LIVE' END
    || CASE WHEN ind.indisprimary THEN ' primary' ELSE '' END
    || CASE WHEN ind.indisreplident THEN ' replica identity' ELSE '' END
    || CASE WHEN ind.indisclustered THEN ' clustered' ELSE '' END
    || CASE WHEN ind.indimmediate THEN '' ELSE ' deferred' END
    || coalesce(' tablespace ' || (SELECT spcname FROM pg_tablespace WHERE oid = index.reltablespace), '')
    || coalesce(' part of ' || (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = index.oid), '')
    || coalesce(E'\n  column statistics ' || (
        SELECT string_agg(att.attnum || '=' || att.attstattarget, ' ' ORDER BY att.attnum)
        FROM pg_attribute att WHERE att.attrelid = index.oid AND att.attstattarget >= 0), '')
    || coalesce(E'\n  comment ' || quote_literal(obj_description(index.oid, 'pg_class')), '')
FROM own_relation relation
JOIN pg_index ind ON ind.indrelid = relation.oid
JOIN pg_class index ON index.oid = ind.indexrelid
ORDER BY relation.name COLLATE "C", index.relname COLLATE "C"
