squeue --me -r -h -t all -o '%i%F%K%T%r%N%j%k%V%S%e'
