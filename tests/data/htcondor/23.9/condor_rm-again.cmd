condor_rm 24.0
