scontrol requeuehold 30
