scancel 28
