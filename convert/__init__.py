"""From a fitted model to files a device runs, with the proof that they agree."""
