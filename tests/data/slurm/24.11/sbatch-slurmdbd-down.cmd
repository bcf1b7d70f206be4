sbatch --parsable -o /dev/null --wrap true
