squeue -h -u bob -o '%i%F%K%T%r%N%j%k%V%S%e'
