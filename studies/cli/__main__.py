"""``python -m fdrnn.studies.cli``: the command line where no script is installed."""

from fdrnn.studies.cli import main

main()
