"""Run REANA workflows as Apptainer jobs on Slurm, HTCondor or this machine."""

__version__ = "0.1.0"
