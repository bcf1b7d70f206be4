condor_submit -terse many.sub
