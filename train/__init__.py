"""The workstation's room: from histories of machines to a fitted model (PyTorch)."""
