sbatch --parsable -o /dev/null --job-name=gw-down --wrap true
