condor_hold 25.0
