condor_submit -terse missing-initial-directory.sub
