condor_ping -type SCHEDD WRITE
