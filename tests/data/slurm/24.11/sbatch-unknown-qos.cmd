sbatch --parsable -o /dev/null --qos=nothing --wrap true
