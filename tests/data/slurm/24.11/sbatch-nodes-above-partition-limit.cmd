sbatch --parsable -o /dev/null --partition=tiny --nodes=2 --wrap true
