"""The durable state: the only place that speaks SQL.

Must not know schedulers, engines or the command line. SQLite and PostgreSQL behave alike here;
what differs is in ``database``.
"""
