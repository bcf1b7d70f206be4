condor_submit -terse submitted.sub
