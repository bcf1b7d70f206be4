"""A cluster on one machine, for trying and testing: Slurm, HTCondor, Apptainer, images."""
