sacct -X -n -P '--delimiter=' -u alice -S now-1hour -o ''
