"""The whole road on a simulated fleet: what `edge demo` does, one stage a file."""
