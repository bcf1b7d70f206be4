sbatch --parsable not-a-script
