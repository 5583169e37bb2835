"""From activations and gradients to heat maps: the methods, the compiled passes, and `explain`."""
