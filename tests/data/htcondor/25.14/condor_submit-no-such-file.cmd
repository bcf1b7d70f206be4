condor_submit -terse nowhere.sub
