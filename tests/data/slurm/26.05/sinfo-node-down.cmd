sinfo -h -N -o '%N%T%E'
