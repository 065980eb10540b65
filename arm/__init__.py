"""The ARM lane: proofs on emulated machines that what we ship works on a Pi. `make arm`; no part of the distribution."""
