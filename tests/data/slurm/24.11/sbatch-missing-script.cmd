sbatch --parsable /nowhere/job.sh
