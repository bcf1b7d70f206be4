scontrol requeue 29
