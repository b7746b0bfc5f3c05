"""Training a study's trials: claims, leases, workers."""
