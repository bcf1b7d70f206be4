condor_q -json -constraint 'GatewayKey == "nobody"'
