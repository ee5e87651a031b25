BEGIN;
--
-- Add field state to user
--
ALTER TABLE "shop_user" ADD COLUMN "state" varchar(10) DEFAULT 'new' NOT NULL;
ALTER TABLE "shop_user" ALTER COLUMN "state" DROP DEFAULT;
COMMIT;
