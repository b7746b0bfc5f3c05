"""The numbers of a report, computed without drawing."""
