condor_hold -reason 'let it rest' 32.0
