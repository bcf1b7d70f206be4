sbatch --parsable -o /dev/null --dependency=afterok:999999 --wrap true
