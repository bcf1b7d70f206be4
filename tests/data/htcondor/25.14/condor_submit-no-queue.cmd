condor_submit -terse no-queue.sub
