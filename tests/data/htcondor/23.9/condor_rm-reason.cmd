condor_rm -reason 'stopped by its owner' 24.0
