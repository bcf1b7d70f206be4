"""HTCondor, driven by its command line tools and its event log."""

from gateway.submitters.htcondor.submitter import HTCondorSubmitter

__all__ = ["HTCondorSubmitter"]
