condor_release 31.0
