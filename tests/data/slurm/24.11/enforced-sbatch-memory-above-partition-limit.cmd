sbatch --parsable -o /dev/null --partition=tiny --mem=1000 --wrap true
