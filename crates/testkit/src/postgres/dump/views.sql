SELECT line FROM (
    SELECT relation.name, '' AS rule,
        format(E'view %s\n%s', relation.name, pg_get_viewdef(relation.oid)) AS line
    FROM own_relation relation WHERE relation.relkind IN ('v', 'm')
    UNION ALL
    SELECT relation.name, rule.rulename,
        format(E'rule on %s enabled %s\n%s', relation.name, rule.ev_enabled, pg_get_ruledef(rule.oid))
        || coalesce(E'\n  comment ' || quote_literal(obj_description(rule.oid, 'pg_rewrite')), '')
    FROM own_relation relation JOIN pg_rewrite rule ON rule.ev_class = relation.oid
    WHERE rule.rulename <> '_RETURN'
) told ORDER BY name COLLATE "C", rule COLLATE "C"
