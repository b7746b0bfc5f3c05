"""Tables of a store of studies beside the numbers of Bayer et al. 2013."""
