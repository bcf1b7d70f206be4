condor_hold 26.0
