"""Many runs of one file: variants × settings × seeds, each a child process with a run folder of its own. No torch."""
