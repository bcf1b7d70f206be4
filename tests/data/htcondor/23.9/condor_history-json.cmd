condor_history -json -limit 20
