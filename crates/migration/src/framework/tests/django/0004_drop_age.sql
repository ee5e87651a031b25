BEGIN;
--
-- Remove field age from user
--
ALTER TABLE "shop_user" DROP COLUMN "age" CASCADE;
COMMIT;
