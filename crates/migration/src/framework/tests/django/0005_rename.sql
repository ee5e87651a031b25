BEGIN;
--
-- Rename field name on user to full_name
--
ALTER TABLE "shop_user" RENAME COLUMN "name" TO "full_name";
COMMIT;
