condor_submit -terse submitted-down.sub
