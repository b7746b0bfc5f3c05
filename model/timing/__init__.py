"""Time training steps, and the matrix products that are their lower bound.

Everything is timed in one process and one thread, in interleaved rounds, so that a change of the
machine's speed affects all alike.
"""
