condor_submit many.sub
