sacct -X -n -P -o JobID,NoSuchColumn
