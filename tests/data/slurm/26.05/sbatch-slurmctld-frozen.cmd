sbatch --parsable -o /dev/null --job-name=gw-frozen --wrap true
