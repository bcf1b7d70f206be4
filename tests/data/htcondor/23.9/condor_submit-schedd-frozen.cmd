condor_submit -terse submitted-frozen.sub
