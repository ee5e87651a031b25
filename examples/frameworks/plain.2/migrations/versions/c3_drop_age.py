from alembic import op

revision = "c3"
down_revision = "b2"


def upgrade():
    op.drop_column("items", "age")
