condor_q -json
