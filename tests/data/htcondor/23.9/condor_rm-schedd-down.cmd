condor_rm 1
