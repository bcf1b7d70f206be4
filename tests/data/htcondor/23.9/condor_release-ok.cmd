condor_release 32.0
