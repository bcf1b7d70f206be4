scancel 999999 21
