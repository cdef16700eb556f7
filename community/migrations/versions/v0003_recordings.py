"""Search over recordings, shares of them, and how long they are kept"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recordings", sa.Column("keep_until", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "shares",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("recording_id", sa.String(length=64), nullable=False),
        sa.Column("audience", sa.String(length=16), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("password_hash", sa.String(length=256), nullable=True),
        sa.Column("start", sa.Double(), nullable=False),
        sa.Column("clip_start", sa.Double(), nullable=True),
        sa.Column("clip_end", sa.Double(), nullable=True),
        sa.Column("sites", sa.JSON(), nullable=False),
        sa.Column("member_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_shares_recording_id_recordings"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_shares_member_id_members"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
    )
    op.create_index(op.f("ix_shares_recording_id"), "shares", ["recording_id"])
    op.create_table(
        "search_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recording_id", sa.String(length=64), nullable=False),
        sa.Column("start", sa.Double(), nullable=False),
        sa.Column("language", sa.String(length=35), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name=op.f("fk_search_lines_recording_id_recordings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_lines")),
    )
    op.create_index(op.f("ix_search_lines_recording_id"), "search_lines", ["recording_id"])
    op.create_table(
        "search_spans",
        sa.Column("recording_id", sa.String(length=64), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"],
            ["recordings.id"],
            name=op.f("fk_search_spans_recording_id_recordings"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_search_spans")),
    )
    if op.get_bind().dialect.name == "sqlite":
        # The text is in search_lines, folded as community/search.py does it: no second copy, no other tokens.
        op.execute(
            "CREATE VIRTUAL TABLE search_words USING fts5"
            "(words, content='', columnsize=0, tokenize='unicode61 remove_diacritics 0')"
        )
        op.execute("CREATE VIRTUAL TABLE search_words_known USING fts5vocab(search_words, row)")
    else:
        op.execute("ALTER TABLE search_lines ADD COLUMN words tsvector")
        op.execute("CREATE INDEX ix_search_lines_words ON search_lines USING gin (words)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE search_words_known")
        op.execute("DROP TABLE search_words")
    for table in ("search_spans", "search_lines", "shares"):
        op.drop_table(table)
    op.drop_column("recordings", "keep_until")
