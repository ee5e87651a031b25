SELECT line FROM (
    SELECT format('extension %I %s in %s', extname, extversion, extnamespace::regnamespace) AS line FROM pg_extension
    UNION ALL
    SELECT format('setting of role %s: %s', CASE setrole WHEN 0 THEN 'all' ELSE setrole::regrole::text END, setting)
    FROM pg_db_role_setting, unnest(setconfig) setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL
    SELECT format('default grants of %s in %s on %s: %s', defaclrole::regrole,
        CASE defaclnamespace WHEN 0 THEN 'all' ELSE defaclnamespace::regnamespace::text END, defaclobjtype,
        (SELECT string_agg(item::text, ' ' ORDER BY item::text COLLATE "C") FROM unnest(defaclacl) item))
    FROM pg_default_acl
    UNION ALL
    SELECT format('event trigger %I on %s %s: %s enabled %s owner %s', evtname, evtevent, evttags,
        evtfoid::regprocedure, evtenabled, evtowner::regrole)
    FROM pg_event_trigger
) told ORDER BY line COLLATE "C"
