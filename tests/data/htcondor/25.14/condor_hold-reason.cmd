condor_hold -reason 'let it rest' 33.0
