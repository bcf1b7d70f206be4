scancel 21
