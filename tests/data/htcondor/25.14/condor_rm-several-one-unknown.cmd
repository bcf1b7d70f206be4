condor_rm 999999 34.0
