condor_q -json -attributes NoSuchThing
