sacct -n -P '--delimiter=' -u alice -S now-1hour -o JobID,JobName,State,ExitCode,DerivedExitCode,Submit,Start,End,NodeList,Restarts,Reason,Comment,MaxRSS
