sacct -X -n -P -j 999999
