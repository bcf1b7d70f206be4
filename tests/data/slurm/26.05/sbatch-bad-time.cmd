sbatch --parsable -o /dev/null --time=soon --wrap true
