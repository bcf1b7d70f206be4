"""reana.yaml to a validated specification, with problems that name line and column.

Must not know schedulers, containers, the database or the site.
"""
