"""The parts of the lane: each proves one thing and says in one line what it found."""
