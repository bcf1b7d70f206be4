condor_submit -terse bad-expression.sub
