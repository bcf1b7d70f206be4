condor_submit submitted.sub
