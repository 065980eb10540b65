"""The ARM lane: proofs on emulated machines that what we ship works on a Pi. Run by `make arm`; never shipped."""
