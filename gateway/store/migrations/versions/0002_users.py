"""Users with their tokens, secrets and workflows; retention rules; faults of nodes."""

import sqlalchemy as sa
from alembic import op

from gateway.vocabulary.records import DEFAULT_USER

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Give every workflow an owner, and add the tables that know users."""
    with op.batch_alter_table("workflows") as workflows:
        workflows.add_column(
            sa.Column("owner", sa.String(36), nullable=False, server_default=DEFAULT_USER)
        )
        workflows.add_column(sa.Column("launcher_url", sa.Text()))
        workflows.drop_constraint("uq_workflows_run", type_="unique")
        workflows.drop_constraint("uq_workflows_key", type_="unique")
        workflows.create_unique_constraint(
            "uq_workflows_run", ["owner", "name", "run_major", "run_minor"]
        )
        workflows.create_unique_constraint("uq_workflows_key", ["owner", "key"])
    _users()
    _retention_rules()
    _node_faults()


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=False, server_default=""),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("user_id", sa.String(36), sa.ForeignKey("users.id"), nullable=False),
        sa.Column("label", sa.Text(), nullable=False, server_default=""),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("revoked_at", sa.Float()),
        sa.UniqueConstraint("digest", name="uq_tokens_digest"),
    )
    op.create_index("ix_tokens_user_id", "tokens", ["user_id"])
    op.create_table(
        "secrets",
        sa.Column("user_id", sa.String(36), sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )


def _retention_rules() -> None:
    op.create_table(
        "retention_rules",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("workflow_id", sa.String(36), sa.ForeignKey("workflows.id"), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("apply_on", sa.Float()),
    )
    op.create_index("ix_retention_rules_workflow_id", "retention_rules", ["workflow_id"])
    op.create_index("ix_retention_rules_status", "retention_rules", ["status"])


def _node_faults() -> None:
    op.create_table(
        "node_faults",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("attempt_key", sa.String(64), nullable=False),
        sa.UniqueConstraint("attempt_key", name="uq_node_faults_attempt_key"),
    )
    op.create_index("ix_node_faults_cluster_time", "node_faults", ["cluster", "at"])
