"""A whole folder of photos audited: rows of what a network says and where it looks, findings, a report."""
