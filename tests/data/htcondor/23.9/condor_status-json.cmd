condor_status -json -attributes Name,State,Activity,Cpus,Memory,TotalSlotCpus,TotalSlotMemory,SlotType
