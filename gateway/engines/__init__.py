"""Workflow languages: specification and finished jobs to the jobs that come next.

Must not know schedulers, containers or the database. An engine is replayed, never resumed: it holds
nothing that the specification and the jobs' results do not say.
"""
