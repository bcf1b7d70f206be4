sbatch --parsable -o /dev/null --array=0-3 --job-name=gw-array --wrap true
