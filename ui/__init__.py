"""The page: its layout, its events, and the two components that are its own."""
