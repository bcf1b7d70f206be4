sbatch --parsable -o /dev/null --no-such-option --wrap true
