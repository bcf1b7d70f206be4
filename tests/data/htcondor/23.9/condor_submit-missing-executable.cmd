condor_submit -terse missing-executable.sub
