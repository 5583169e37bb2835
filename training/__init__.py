"""How the built-in network was made, so that anyone can make it again: see README.md beside this file."""
