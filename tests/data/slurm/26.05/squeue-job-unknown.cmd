squeue -h -j 999999 -o '%i%F%K%T%r%N%j%k%V%S%e'
