sbatch --parsable -o /dev/null --partition=nowhere --wrap true
