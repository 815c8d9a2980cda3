"""Pages for people: HTML files that open from disk, need no network and hold their pictures."""
