sbatch --parsable -o /dev/null --constraint=quantum --wrap true
