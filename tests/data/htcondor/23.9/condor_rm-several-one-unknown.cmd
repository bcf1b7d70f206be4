condor_rm 999999 33.0
