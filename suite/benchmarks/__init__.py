"""What asv follows: a class for each kernel and each claim, made from registry and claim files."""
