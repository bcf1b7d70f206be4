squeue --me -r -h -t all --name=gw-frozen -o '%i%F%K%T%r%N%j%k%V%S%e'
