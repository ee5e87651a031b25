SELECT format('sequence %s %s start %s increment %s from %s to %s cache %s%s', relation.name,
        format_type(seq.seqtypid, NULL), seq.seqstart, seq.seqincrement, seq.seqmin, seq.seqmax, seq.seqcache,
        CASE WHEN seq.seqcycle THEN ' cycle' ELSE '' END)
    || coalesce((
        SELECT format(' %s %s.%I', CASE dep.deptype WHEN 'i' THEN 'identity of' ELSE 'owned by' END,
            dep.refobjid::regclass, att.attname)
        FROM pg_depend dep JOIN pg_attribute att ON att.attrelid = dep.refobjid AND att.attnum = dep.refobjsubid
        WHERE dep.classid = 'pg_class'::regclass AND dep.objid = relation.oid
            AND dep.refclassid = 'pg_class'::regclass AND dep.deptype IN ('a', 'i') AND dep.refobjsubid > 0), '')
FROM own_relation relation JOIN pg_sequence seq ON seq.seqrelid = relation.oid
ORDER BY relation.name COLLATE "C"
