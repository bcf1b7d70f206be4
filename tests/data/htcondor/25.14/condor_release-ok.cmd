condor_release 33.0
