SELECT format('column %s.%I %s', relation.name, att.attname, format_type(att.atttypid, att.atttypmod))
    || CASE WHEN att.attnotnull THEN ' not null' ELSE '' END
    || CASE att.attidentity WHEN '' THEN '' ELSE ' identity ' || att.attidentity::text END
    || CASE att.attgenerated WHEN '' THEN '' ELSE ' generated ' || att.attgenerated::text END
    || CASE WHEN att.attcollation NOT IN (0, typ.typcollation) THEN ' collation ' || att.attcollation::regcollation ELSE '' END
    || CASE WHEN att.attstorage <> typ.typstorage THEN ' storage ' || att.attstorage::text ELSE '' END
    || CASE att.attcompression WHEN '' THEN '' ELSE ' compression ' || att.attcompression::text END
    || CASE WHEN att.attislocal THEN '' ELSE ' inherited' END
    -- Not set is -1 up to 16 and NULL from 17 on.
    || coalesce(' statistics ' || nullif(att.attstattarget, -1), '')
    || coalesce(' options ' || array_to_string(att.attoptions, ','), '')
    || coalesce(E'\n  default ' || pg_get_expr(def.adbin, def.adrelid), '')
    || coalesce(E'\n  grants ' || (
        SELECT string_agg(item::text, ' ' ORDER BY item::text COLLATE "C") FROM unnest(att.attacl) item), '')
    || coalesce(E'\n  comment ' || quote_literal(col_description(relation.oid, att.attnum)), '')
FROM own_relation relation
JOIN pg_attribute att ON att.attrelid = relation.oid AND att.attnum > 0 AND NOT att.attisdropped
JOIN pg_type typ ON typ.oid = att.atttypid
LEFT JOIN pg_attrdef def ON def.adrelid = att.attrelid AND def.adnum = att.attnum
WHERE relation.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
-- The order that SELECT * has.
ORDER BY relation.name COLLATE "C", att.attnum
