sbatch --parsable -o /dev/null --job-name=gw-ok --comment=key=1 --wrap true
