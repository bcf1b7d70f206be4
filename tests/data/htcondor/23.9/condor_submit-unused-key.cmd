condor_submit -terse unused-key.sub
