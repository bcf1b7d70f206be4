sbatch --parsable -o /dev/null --cpus-per-task=100 --wrap true
