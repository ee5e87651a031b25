SELECT line FROM (
    SELECT relation.name, trigger.tgname,
        pg_get_triggerdef(trigger.oid) || ' enabled ' || trigger.tgenabled::text
        || CASE WHEN trigger.tgparentid <> 0 THEN ' inherited' ELSE '' END
        || coalesce(E'\n  comment ' || quote_literal(obj_description(trigger.oid, 'pg_trigger')), '') AS line
    FROM own_relation relation JOIN pg_trigger trigger ON trigger.tgrelid = relation.oid
    WHERE NOT trigger.tgisinternal
    UNION ALL
    -- A constraint's own triggers carry OIDs in their names, so only one that was switched off is told.
    SELECT relation.name, con.conname,
        format('trigger of constraint %I on %s: %s enabled %s', con.conname, relation.name,
            trigger.tgfoid::regproc, trigger.tgenabled)
    FROM own_relation relation
    JOIN pg_trigger trigger ON trigger.tgrelid = relation.oid AND trigger.tgisinternal AND trigger.tgenabled <> 'O'
    JOIN pg_constraint con ON con.oid = trigger.tgconstraint
) told ORDER BY name COLLATE "C", tgname COLLATE "C", line COLLATE "C"
