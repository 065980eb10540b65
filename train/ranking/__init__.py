"""Which family deserves its place: families of one size beside each other and beside what needs no network."""
