"""Study definitions as TOML files, their catalogue, and the command line ``fdrnn``."""
