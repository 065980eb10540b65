"""The verbs of the command line, one a file; `edge.cli` holds their table."""
