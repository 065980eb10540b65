"""`edge info`: what a bundle is."""
