"""The networks: which there are, how they are loaded, what it takes to ask them."""
