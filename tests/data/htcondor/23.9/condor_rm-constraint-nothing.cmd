condor_rm -constraint 'GatewayKey == "nobody"'
