condor_q 999999 -json
