condor_submit -terse bad-memory.sub
