condor_submit -terse log-not-writable.sub
