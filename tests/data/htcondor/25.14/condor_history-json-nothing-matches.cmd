condor_history -json -constraint 'GatewayKey == "nobody"'
