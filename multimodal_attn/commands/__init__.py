"""Commands: what the command line calls, one file each."""
