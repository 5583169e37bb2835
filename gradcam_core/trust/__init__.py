"""Whether a heat map can be believed: what hiding it does, and whether it needs the network."""
