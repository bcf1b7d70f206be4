scancel 40
