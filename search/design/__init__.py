"""What a study is: its definition, its space, its draws."""
