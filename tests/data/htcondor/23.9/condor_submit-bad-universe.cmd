condor_submit -terse bad-universe.sub
