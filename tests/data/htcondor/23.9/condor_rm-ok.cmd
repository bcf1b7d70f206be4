condor_rm 23.0
