scancel -v 21
