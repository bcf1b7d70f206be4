scontrol requeue 21
