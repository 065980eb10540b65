"""A first project file by looking: how files are written, what their columns are, and what follows from it."""
