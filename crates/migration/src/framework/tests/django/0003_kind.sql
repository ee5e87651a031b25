BEGIN;
--
-- Add field kind to user
--
ALTER TABLE "shop_user" ADD COLUMN "kind" varchar(10) DEFAULT 'a' NOT NULL;
COMMIT;
