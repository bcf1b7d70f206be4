sbatch --parsable -o /dev/null --gres=gpu:1 --wrap true
