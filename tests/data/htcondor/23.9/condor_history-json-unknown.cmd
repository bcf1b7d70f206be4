condor_history 999999 -json
