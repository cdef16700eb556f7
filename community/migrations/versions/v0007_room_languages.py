"""Languages that are spoken in a room"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rooms", sa.Column("spoken", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("rooms", "spoken")
