"""What a training step costs, beside the matrix products that it cannot do without.

Everything is timed in one process and one thread, in interleaved rounds, so that a change of the
machine's speed meets all of it alike.
"""
