sbatch -o /dev/null --wrap true
