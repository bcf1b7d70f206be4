sinfo -h -o '%P%a%l%D%T%c%m%N'
