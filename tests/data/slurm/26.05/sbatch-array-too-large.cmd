sbatch --parsable -o /dev/null --array=0-5000 --wrap true
