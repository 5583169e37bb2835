"""Inside a network: run any Keras model and see every tensor in it, and which of them can be explained."""
