condor_rm 999999
