"""Downloads from untrusted servers and reading of untrusted archives, within limits."""
