"""The local cluster: one host, driven through its process table."""

from gateway.submitters.local.submitter import LocalSubmitter

__all__ = ["LocalSubmitter"]
