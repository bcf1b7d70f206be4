condor_rm -reason 'stopped by its owner' 25.0
