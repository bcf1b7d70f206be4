sbatch --parsable -o /dev/null --mem=100000 --wrap true
