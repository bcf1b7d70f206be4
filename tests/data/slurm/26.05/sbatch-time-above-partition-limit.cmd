sbatch --parsable -o /dev/null --partition=short --time=10 --wrap true
