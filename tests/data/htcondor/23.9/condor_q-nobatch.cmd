condor_q -nobatch
