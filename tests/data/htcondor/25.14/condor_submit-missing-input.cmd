condor_submit -terse missing-input.sub
