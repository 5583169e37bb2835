"""What makes the site of docs/: the parts that are made, not written, and the check of its links."""
