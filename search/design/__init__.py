"""The design of a study: its definition, its space, its draws."""
