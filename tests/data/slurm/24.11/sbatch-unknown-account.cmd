sbatch --parsable -o /dev/null --account=nobody --wrap true
