"""The schema. Changes go through a migration in ``migrations/versions``."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from gateway.vocabulary.records import DEFAULT_USER

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

workflows = Table(
    "workflows",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("run_major", Integer, nullable=False),
    Column("run_minor", Integer, nullable=False),
    Column("owner", String(36), nullable=False, server_default=DEFAULT_USER),
    Column("key", Text),
    Column("status", String(16), nullable=False, index=True),
    Column("specification", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("cluster", Text),
    Column("workspace", Text, nullable=False),
    Column("message", Text, nullable=False, server_default=""),
    Column("total", Integer),
    Column("news", Integer, nullable=False, server_default="1"),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("stop_requested_at", Float),
    Column("launcher_url", Text),
    UniqueConstraint("owner", "name", "run_major", "run_minor", name="uq_workflows_run"),
    UniqueConstraint("owner", "key", name="uq_workflows_key"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("workflow_id", String(36), ForeignKey("workflows.id")),
    Column("key", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("step", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("image", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("resources", JSON, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("cvmfs", Integer, nullable=False, server_default="0"),
    Column("state", String(16), nullable=False, index=True),
    Column("reason", Text, nullable=False, server_default=""),
    Column("outcome", String(32)),
    Column("exit_code", Integer),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("finished_at", Float),
    UniqueConstraint("workflow_id", "key", name="uq_jobs_key"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("job_id", String(36), ForeignKey("jobs.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("cluster", Text, nullable=False),
    Column("resources", JSON, nullable=False),
    Column("ready_at", Float, nullable=False),
    Column("exclude_nodes", JSON, nullable=False),
    Column("submission_key", String(32), ForeignKey("submissions.key"), index=True),
    Column("task_index", Integer),
    Column("native_id", Text, nullable=False, server_default=""),
    Column("node", Text, nullable=False, server_default=""),
    Column("restart", Integer, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("waits_for", Text, nullable=False, server_default=""),
    Column("outcome", String(32)),
    Column("exit_code", Integer),
    Column("submitted_at", Float),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("missing_since", Float),
    Column("held_since", Float),
    Column("max_rss_mib", Integer),
    Column("cpu_s", Float),
    Column("observed", JSON, nullable=False),
    UniqueConstraint("job_id", "number", name="uq_attempts_number"),
)

submissions = Table(
    "submissions",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("label", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("resources", JSON, nullable=False),
    Column("exclude_nodes", JSON, nullable=False),
    Column("control_dir", Text, nullable=False),
    Column("prepared_at", Float, nullable=False),
    Column("called_at", Float),
    Column("absent_since", Float),
    Column("native_id", Text, nullable=False, server_default=""),
    Column("where", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
)

images = Table(
    "images",
    metadata,
    Column("workflow_id", String(36), ForeignKey("workflows.id"), primary_key=True),
    Column("reference", Text, primary_key=True),
    Column("resolved", JSON(none_as_null=True)),
    Column("fetch_job_id", String(36), ForeignKey("jobs.id"), index=True),
)

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("workflow_id", String(36), index=True),
    Column("job_id", String(36), index=True),
    Column("attempt_key", String(64)),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("heartbeat_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
)

clusters = Table(
    "clusters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("status_at", Float),
    Column("blocked_until", Float),
    Column("blocked_reason", Text, nullable=False, server_default=""),
    Column("blocked_times", Integer, nullable=False, server_default="0"),
    Column("limit", Integer),
    Column("gate", JSON, nullable=False),
)

calls = Table(
    "calls",
    metadata,
    Column("cluster", Text, primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("minute", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("full_name", Text, nullable=False, server_default=""),
    Column("created_at", Float, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("user_id", String(36), ForeignKey("users.id"), nullable=False, index=True),
    Column("label", Text, nullable=False, server_default=""),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)

secrets = Table(
    "secrets",
    metadata,
    Column("user_id", String(36), ForeignKey("users.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

retention_rules = Table(
    "retention_rules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("workflow_id", String(36), ForeignKey("workflows.id"), nullable=False, index=True),
    Column("pattern", Text, nullable=False),
    Column("days", Integer, nullable=False),
    Column("status", String(16), nullable=False, index=True),
    Column("apply_on", Float),
)

node_faults = Table(
    "node_faults",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("cluster", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("at", Float, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("attempt_key", String(64), nullable=False, unique=True),
)

Index("ix_node_faults_cluster_time", node_faults.c.cluster, node_faults.c.at)
Index("ix_events_workflow_time", events.c.workflow_id, events.c.id)
Index("ix_attempts_ready", attempts.c.cluster, attempts.c.state, attempts.c.ready_at)
