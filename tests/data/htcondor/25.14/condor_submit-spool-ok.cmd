condor_submit -spool submitted.sub
