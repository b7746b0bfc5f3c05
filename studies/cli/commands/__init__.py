"""The commands of ``fdrnn``, a module for each group of them."""
