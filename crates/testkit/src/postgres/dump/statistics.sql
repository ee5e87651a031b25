SELECT pg_get_statisticsobjdef(stat.oid) || ' owner ' || stat.stxowner::regrole
    || coalesce(' target ' || nullif(stat.stxstattarget, -1), '')
    || coalesce(E'\n  comment ' || quote_literal(obj_description(stat.oid, 'pg_statistic_ext')), '')
FROM pg_statistic_ext stat JOIN own_schema ON own_schema.oid = stat.stxnamespace
ORDER BY own_schema.name COLLATE "C", stat.stxname COLLATE "C"
