condor_vacate_job -fast 32.0
