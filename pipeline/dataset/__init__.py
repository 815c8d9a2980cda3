"""Which photos become part of the data set, and on which side of the split."""
