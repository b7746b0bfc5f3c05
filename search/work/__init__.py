"""Work on the trials of studies: claims, leases, workers."""
