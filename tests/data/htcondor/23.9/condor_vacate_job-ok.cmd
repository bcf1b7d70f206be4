condor_vacate_job -fast 31.0
