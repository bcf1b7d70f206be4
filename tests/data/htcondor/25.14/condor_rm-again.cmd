condor_rm 25.0
